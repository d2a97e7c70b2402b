"""Brings the database to the newest schema: ``python -m storage.migrate``, or ``livecomments storage migrate``."""

import sys

from livecomments.settings import SettingsError, load
from livecomments.telemetry import configure_logging
from storage.databases import migrate
from storage.settings import StorageSettings


def main() -> int:
    """The exit code: 2 for a setting that can't work, 1 when no server answers."""
    settings = load(StorageSettings)
    configure_logging("storage", settings)
    try:
        print(migrate(settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except ConnectionError as error:
        print(f"storage: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

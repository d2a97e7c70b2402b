"""The settings of a local instance: which the caller may give, and which ``livecomments up`` chooses itself."""

import difflib
import importlib
import importlib.util
import os
from collections.abc import Mapping

from livecomments.cli import CommandError
from livecomments.settings import Settings, load

SERVICES = ("core", "storage", "fanout", "edge")
PREFIX = "LIVECOMMENTS_"
_OURS = frozenset(
    {
        "NATS_URL",
        "NATS_CREDS",
        "NATS_TLS_CA",
        "NATS_TLS_CERT",
        "NATS_TLS_KEY",
        "DATA_DIR",
        "PORTS_FILE",
        "CORE_URLS",
        "STORAGE_URLS",
        "FANOUT_URLS",
    }
    | {f"{name.upper()}_LISTEN" for name in SERVICES}
)
_TO_COMMANDS = frozenset({"TOKEN", "DATA_DIR"})
"""Read by other commands than ``up``."""
_QUICK = {"DRAIN_S": "2", "EDGE_DRAIN_S": "2"}
"""Whoever presses Ctrl-C waits; a service in production has more time to let go of its viewers."""
_ALONE = {"CQL_MIGRATE": "true"}
"""No storage of an older version runs beside ours."""

_STOP_MARGIN_S = 7.0
"""An edge gives its connections 5 s more than its viewers."""


def check_services() -> None:
    """Raises CommandError when the services are not there: the wheel has the client alone."""
    missing = [name for name in SERVICES if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(
            f"{', '.join(missing)} not found: the services run from a checkout, start them with its scripts/up", 2
        )


def check_settings(environ: Mapping[str, str]) -> None:
    """Raises CommandError, or SystemExit(2) with one line on stderr, for a setting that is unknown, bad or not the
    caller's to choose.
    """
    classes = [settings_class(name) for name in SERVICES]
    known = {field.upper() for cls in classes for field in cls.model_fields} | _TO_COMMANDS
    for variable in sorted(name for name in environ if name.upper().startswith(PREFIX)):
        name = variable.upper().removeprefix(PREFIX)
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {PREFIX}{near[0]}?" if near else ""
            raise CommandError(f"setting {variable} is unknown{hint}", 2)
        if name in _OURS - _TO_COMMANDS:
            raise CommandError(f"setting {variable}: `up` chooses this itself (see --port and --data); unset it", 2)
    for cls in classes:
        load(cls)


def settings_class(service: str) -> type[Settings]:
    """The settings of a service, by the convention that its ``settings.py`` holds one class."""
    module = importlib.import_module(f"{service}.settings")
    found: list[type[Settings]] = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise RuntimeError(f"{module.__name__} must hold one class of settings")
    return found[0]


def stop_deadline_s(name: str, environ: Mapping[str, str]) -> float:
    """How long a child may take to stop: what its settings give it to drain, and some for the rest."""
    setting = "EDGE_DRAIN_S" if name == "edge" else "DRAIN_S"
    return float(environ.get(PREFIX + setting, _QUICK[setting])) + _STOP_MARGIN_S


def child_environment(service: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with what the instance chooses; ``chosen`` has names without the prefix."""
    ports = {f"{service.upper()}_LISTEN": "127.0.0.1:0", f"{service.upper()}_METRICS_LISTEN": "127.0.0.1:0"}
    defaults = {f"{PREFIX}{name}": value for name, value in (_QUICK | _ALONE | ports).items()}
    return defaults | dict(os.environ) | {f"{PREFIX}{name}": value for name, value in chosen.items()}

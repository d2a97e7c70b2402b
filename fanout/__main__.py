"""``python -m fanout [--upstream ADDRESSES]``: one fanout process."""

import argparse
import os

from fanout.service import open_service
from fanout.settings import FanoutSettings
from livecomments.serving import run


def main() -> None:
    """Ends as ``livecomments.serving.run`` does."""
    parser = argparse.ArgumentParser("fanout", description="Live events out of the log, or out of another fanout.")
    parser.add_argument(
        "--upstream",
        metavar="ADDRESSES",
        help="host:port of fanouts, separated by commas; default: LIVECOMMENTS_FANOUT_UPSTREAM_URLS",
    )
    upstream = parser.parse_args().upstream
    if upstream is not None:
        os.environ["LIVECOMMENTS_FANOUT_UPSTREAM_URLS"] = upstream
    run("fanout", FanoutSettings, open_service)


if __name__ == "__main__":
    main()

"""``python -m fanout``: one fanout process."""

from fanout.service import open_service
from fanout.settings import FanoutSettings
from livecomments.serving import run

if __name__ == "__main__":
    run("fanout", FanoutSettings, open_service)

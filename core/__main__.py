"""Runs the core service."""

from core.service import open_service
from core.settings import CoreSettings
from livecomments.serving import run

run("core", CoreSettings, open_service)

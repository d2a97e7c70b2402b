"""Tokens of the local instance."""

import getpass
from pathlib import Path

from livecomments.cli import CommandError
from livecomments.errors import Refusal
from livecomments.settings import Settings, SettingsError
from livecomments.token_check import check_of


def local_token(
    data_dir: Path, user: str, *, name: str = "", role: str = "viewer", ttl_s: float, streams: tuple[str, ...] = ()
) -> str:
    """A JWT that the instance of this data folder accepts; raises CommandError."""
    try:
        key = Settings(data_dir=data_dir).token_key()
    except SettingsError as error:
        raise CommandError(f"{data_dir} holds no key yet, scripts/up makes it ({error})", 2) from error
    token = key.issue(user, name=name, role=role, ttl_s=ttl_s, streams=streams)
    try:
        check_of(key).verify(token)
    except Refusal as refusal:
        raise CommandError(refusal.detail, 2) from refusal
    return token


def login_name() -> str:
    """Who sits at this terminal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"

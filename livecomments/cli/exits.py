"""What the command ends with: the same for every command, so that scripts can tell what to do."""

from enum import IntEnum

from livecomments.cli import CommandError
from livecomments.client import InvalidRequest, LiveCommentsError, NotConfirmed, Unavailable


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    REFUSED = 1
    """The system said no, or something broke: no such stream, no right, it has ended, too fast."""
    MISTAKE = 2
    """The caller must put something right: an option, a setting, no instance runs there."""
    UNAVAILABLE = 3
    """Nobody answered in time, and nothing was changed: try again."""
    NOT_CONFIRMED = 4
    """Nobody answered in time, and it may have been done all the same."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it."""


def failure(error: LiveCommentsError) -> CommandError:
    """A refusal as the end of a command."""
    match error:
        case InvalidRequest():
            code = Exit.MISTAKE
        case Unavailable():
            code = Exit.UNAVAILABLE
        case NotConfirmed():
            code = Exit.NOT_CONFIRMED
        case _:
            code = Exit.REFUSED
    return CommandError(str(error), code)

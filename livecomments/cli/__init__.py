"""The ``livecomments`` command: the local instance, single services, tokens, and a terminal client."""


class CommandError(Exception):
    """Ends the command with one line on stderr, and no traceback."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """2 for what the caller must put right (an option, a setting, the machine), else 1."""

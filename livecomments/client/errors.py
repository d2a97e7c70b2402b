"""What the client raises: one class for each family of reasons."""

from dataclasses import dataclass

import grpc

from livecomments.errors import Reason, Refusal

__all__ = [
    "Conflict",
    "InvalidRequest",
    "LiveCommentsError",
    "NotConfirmed",
    "NotFound",
    "PermissionDenied",
    "RateLimited",
    "Unauthenticated",
    "Unavailable",
    "error_of",
]


class LiveCommentsError(Refusal):
    """A request was refused; its class tells the family, ``reason`` which row of the table of errors it is.

    ``fields`` names the bad fields, each with what it must be; ``rate_limit`` the limit that was hit; ``detail`` is
    for people.
    """

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to try again; None when that is of no use, or nobody can tell."""
        return self.retry_after_ms / 1000 if self.retry_after_ms else None


class InvalidRequest(LiveCommentsError):
    """The request itself is wrong: INVALID_FIELD, BAD_CURSOR, BAD_PAGE_TOKEN, KEY_REUSED, BODY_TOO_LARGE …"""


class Unauthenticated(LiveCommentsError):
    """The token is missing, invalid or expired: UNAUTHENTICATED."""


class PermissionDenied(LiveCommentsError):
    """Who the token names may not do this: FORBIDDEN, BANNED."""


class NotFound(LiveCommentsError):
    """There is no such thing: STREAM_NOT_FOUND, COMMENT_NOT_FOUND …"""


class Conflict(LiveCommentsError):
    """The stream does not stand as the request wants it: STREAM_EXISTS, STREAM_ENDED."""


class RateLimited(LiveCommentsError):
    """Too many comments; ``retry_after`` says when one will be taken: USER_RATE, ADDRESS_RATE, SLOW_MODE."""


class Unavailable(LiveCommentsError):
    """Nobody could answer before the deadline, and nothing was changed: OVERLOADED, DRAINING."""


@dataclass(eq=False)
class NotConfirmed(LiveCommentsError):
    """The deadline passed, and what was asked for may or may not have been done: NOT_CONFIRMED.

    Ask again to find out. It is done once, however often it is asked for; a post with the same ``request_id``, and
    within two minutes.
    """

    request_id: str = ""
    """Of the post; empty for all other calls, which are repeated as they are."""


_FAMILIES: dict[grpc.StatusCode, type[LiveCommentsError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: Conflict,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def error_of(refusal: Refusal, request_id: str = "") -> LiveCommentsError:
    """A refusal as its family."""
    told = (refusal.reason, refusal.detail, refusal.fields, refusal.retry_after_ms, refusal.rate_limit)
    if refusal.reason is Reason.NOT_CONFIRMED:
        return NotConfirmed(*told, request_id=request_id)
    return _FAMILIES[refusal.reason.grpc_code](*told)

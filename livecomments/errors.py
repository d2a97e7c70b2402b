"""The error table: one reason, one gRPC code, one HTTP status, on every way in (design.md, section 6)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from livecomments.v1 import comment_service_pb2 as pb

DOMAIN = "livecomments"


class Reason(StrEnum):
    """Why a request was refused. Stable: clients match on it."""

    INVALID_FIELD = "INVALID_FIELD"
    MALFORMED_BODY = "MALFORMED_BODY"
    BAD_CURSOR = "BAD_CURSOR"
    BAD_PAGE_TOKEN = "BAD_PAGE_TOKEN"  # noqa: S105 (a reason, not a secret)
    KEY_REUSED = "KEY_REUSED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    BANNED = "BANNED"
    STREAM_NOT_FOUND = "STREAM_NOT_FOUND"
    COMMENT_NOT_FOUND = "COMMENT_NOT_FOUND"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    STREAM_EXISTS = "STREAM_EXISTS"
    STREAM_ENDED = "STREAM_ENDED"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    USER_RATE = "USER_RATE"
    ADDRESS_RATE = "ADDRESS_RATE"
    SLOW_MODE = "SLOW_MODE"
    OVERLOADED = "OVERLOADED"
    DRAINING = "DRAINING"
    NOT_CONFIRMED = "NOT_CONFIRMED"

    @property
    def grpc_code(self) -> grpc.StatusCode:
        return _TABLE[self][0]

    @property
    def http_status(self) -> int:
        return _TABLE[self][1]


_TABLE: dict[Reason, tuple[grpc.StatusCode, int]] = {
    Reason.INVALID_FIELD: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.MALFORMED_BODY: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.BAD_CURSOR: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.BAD_PAGE_TOKEN: (grpc.StatusCode.INVALID_ARGUMENT, 400),
    Reason.KEY_REUSED: (grpc.StatusCode.INVALID_ARGUMENT, 422),
    Reason.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, 401),
    Reason.FORBIDDEN: (grpc.StatusCode.PERMISSION_DENIED, 403),
    Reason.BANNED: (grpc.StatusCode.PERMISSION_DENIED, 403),
    Reason.STREAM_NOT_FOUND: (grpc.StatusCode.NOT_FOUND, 404),
    Reason.COMMENT_NOT_FOUND: (grpc.StatusCode.NOT_FOUND, 404),
    Reason.SESSION_NOT_FOUND: (grpc.StatusCode.NOT_FOUND, 404),
    Reason.STREAM_EXISTS: (grpc.StatusCode.ALREADY_EXISTS, 409),
    Reason.STREAM_ENDED: (grpc.StatusCode.FAILED_PRECONDITION, 409),
    Reason.BODY_TOO_LARGE: (grpc.StatusCode.OUT_OF_RANGE, 413),
    Reason.USER_RATE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Reason.ADDRESS_RATE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Reason.SLOW_MODE: (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Reason.OVERLOADED: (grpc.StatusCode.UNAVAILABLE, 503),
    Reason.DRAINING: (grpc.StatusCode.UNAVAILABLE, 503),
    Reason.NOT_CONFIRMED: (grpc.StatusCode.UNAVAILABLE, 503),
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: ``field`` is its dotted path in the request, ``detail`` says what it must be."""

    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit that was hit: at most ``quota`` comments in ``window_s`` seconds."""

    policy: str
    quota: int
    window_s: int


@dataclass(eq=False)
class Refusal(Exception):
    """A request was refused and changed nothing. The one exception that crosses the services' boundaries."""

    reason: Reason
    detail: str = ""
    """For people; not stable, never holds a secret."""
    fields: tuple[FieldError, ...] = ()
    retry_after_ms: int = 0
    """When to try again; 0 when that is of no use."""
    rate_limit: RateLimit | None = None

    def __str__(self) -> str:
        what = self._what()
        return f"{self.reason}: {what}" if what else str(self.reason)

    def _what(self) -> str:
        return self.detail or "; ".join(f"{error.field}: {error.detail}" for error in self.fields)

    def renamed(self, names: Mapping[str, str]) -> "Refusal":
        """The same for a caller who knows some of the fields by other names."""
        fields = tuple(FieldError(names.get(error.field, error.field), error.detail) for error in self.fields)
        return replace(self, fields=fields)

    # -- the wire: google.rpc.Status for single calls, Problem for an ingested item --

    def to_status(self) -> "grpc.Status":
        """As a gRPC status whose details hold ErrorInfo and, where they apply, BadRequest and RetryInfo."""
        metadata = {}
        if self.rate_limit is not None:
            metadata = {
                "policy": self.rate_limit.policy,
                "quota": str(self.rate_limit.quota),
                "window_s": str(self.rate_limit.window_s),
            }
        details = [_pack(error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=metadata))]
        if self.fields:
            violations = [
                error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.detail)
                for error in self.fields
            ]
            details.append(_pack(error_details_pb2.BadRequest(field_violations=violations)))
        if self.retry_after_ms:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(self.retry_after_ms)
            details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
        return rpc_status.to_status(
            status_pb2.Status(code=self.reason.grpc_code.value[0], message=self._what() or self.reason, details=details)
        )

    def to_problem(self) -> pb.Problem:
        problem = pb.Problem(reason=self.reason, detail=self.detail, retry_after_ms=self.retry_after_ms)
        if self.fields:
            problem.field = self.fields[0].field
            problem.detail = self.fields[0].detail
        if len(self.fields) > 1:
            problem.fields.extend(pb.FieldProblem(field=error.field, detail=error.detail) for error in self.fields)
        if self.rate_limit is not None:
            problem.rate_limit.policy = self.rate_limit.policy
            problem.rate_limit.quota = self.rate_limit.quota
            problem.rate_limit.window_s = self.rate_limit.window_s
        return problem

    @classmethod
    def from_problem(cls, problem: pb.Problem) -> "Refusal":
        limit = problem.rate_limit
        fields = tuple(FieldError(bad.field, bad.detail) for bad in problem.fields)
        if problem.field and not fields:
            fields = (FieldError(problem.field, problem.detail),)
        return cls(
            Reason(problem.reason),
            "" if fields else problem.detail,
            fields,
            problem.retry_after_ms,
            RateLimit(limit.policy, limit.quota, limit.window_s) if problem.HasField("rate_limit") else None,
        )

    @classmethod
    def from_rpc_error(cls, error: grpc.RpcError, otherwise: Reason = Reason.OVERLOADED) -> "Refusal":
        """What a failed call means to its caller. A status without our ErrorInfo (the service is away, too slow, or
        broken) becomes ``otherwise``, so that nothing foreign leaks through: OVERLOADED fits calls that change
        nothing, NOT_CONFIRMED those that may have been carried out all the same.
        """
        call = cast("grpc.Call", error)
        status = rpc_status.from_call(call)
        if status is None:
            return cls(otherwise, _away(call), retry_after_ms=1_000)
        found = _from_details(status.details)
        return replace(found, detail=status.message) if found else cls(otherwise, _away(call), (), 1_000)


def invalid(field: str, detail: str) -> Refusal:
    """The refusal for one bad field."""
    return Refusal(Reason.INVALID_FIELD, f"{field}: {detail}", (FieldError(field, detail),))


def _pack(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _away(call: grpc.Call) -> str:
    return f"a service behind this one did not answer ({call.code().name})"


def _from_details(details: Iterable[any_pb2.Any]) -> Refusal | None:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in details:
        for message in (info, bad, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    if info.domain != DOMAIN or info.reason not in Reason.__members__:
        return None
    limit = None
    if "policy" in info.metadata:
        limit = RateLimit(info.metadata["policy"], int(info.metadata["quota"]), int(info.metadata["window_s"]))
    fields = tuple(FieldError(violation.field, violation.description) for violation in bad.field_violations)
    return Refusal(Reason(info.reason), "", fields, retry.retry_delay.ToMilliseconds(), limit)

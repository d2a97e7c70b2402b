"""Who calls a service, checked before any method runs (design.md, section 6)."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum
from typing import Any

import grpc

from livecomments.calls import SERVICE_TOKEN_KEY
from livecomments.errors import Reason, Refusal
from livecomments.issuers import WAIT_S
from livecomments.token_check import KeysNeeded, TokenCheck
from livecomments.tokens import NOBODY, Identity

__all__ = ["SERVICE_TOKEN_KEY", "Access", "AuthInterceptor", "Authenticator", "abort_with", "caller"]

_caller: ContextVar[Identity] = ContextVar("caller", default=NOBODY)


class Access(Enum):
    """Who may call a method at all; what a user may do to one stream is the method's own decision."""

    ANYONE = "anyone"
    USER = "user"
    USER_OR_SERVICE = "user or service"
    SERVICE = "service"


_PACKAGE = "/livecomments.v1."
_OPEN = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/grpc.reflection.v1.ServerReflection/",
)
_ACCESS: Mapping[str, Access] = {
    "CommentService/PostComment": Access.USER,
    "CommentService/IngestComments": Access.SERVICE,
    "CommentService/DeleteComment": Access.USER_OR_SERVICE,
    "CommentService/PinComment": Access.USER_OR_SERVICE,
    "CommentService/UnpinComment": Access.USER_OR_SERVICE,
    "CommentService/BanUser": Access.USER_OR_SERVICE,
    "CommentService/UnbanUser": Access.USER_OR_SERVICE,
    "StreamService/CreateStream": Access.USER,
    "StreamService/GetStream": Access.ANYONE,
    "StreamService/ListStreams": Access.ANYONE,
    "StreamService/UpdateStream": Access.USER,
    "StreamService/EndStream": Access.USER,
    "FeedService/Watch": Access.ANYONE,
    "FeedService/Relay": Access.SERVICE,
    "FeedService/Backfill": Access.SERVICE,
    "HistoryService/GetComment": Access.ANYONE,
    "HistoryService/ListComments": Access.ANYONE,
    "HistoryService/ListRecentComments": Access.ANYONE,
    "HistoryService/ExportComments": Access.ANYONE,
}


def caller() -> Identity:
    """Who made the call that is being handled. A service that passes a user's token on acts as that user."""
    return _caller.get()


class Authenticator:
    """Turns a call's metadata into an Identity."""

    def __init__(self, check: TokenCheck, service_token: str) -> None:
        self._check = check
        self._service_token = service_token.encode()

    def admit(self, method: str, metadata: Mapping[str, str]) -> Identity:
        """Who calls ``method`` (``/package.Service/Method``); raises Refusal when they may not, and as TokenCheck."""
        if method.startswith(_OPEN):
            return NOBODY
        # What is not in the table is closed: a new method must be thought about first.
        access = _ACCESS.get(method.removeprefix(_PACKAGE), Access.SERVICE)
        is_service = self._is_service(metadata.get(SERVICE_TOKEN_KEY))
        authorization = metadata.get("authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise Refusal(Reason.UNAUTHENTICATED, "authorization must be 'Bearer <token>'")
            user = self._check.verify(token.strip())
        else:
            user = NOBODY
        if access is Access.SERVICE and not is_service:
            raise Refusal(
                Reason.FORBIDDEN if user.is_user else Reason.UNAUTHENTICATED, "only our own services may call this"
            )
        is_enough = user.is_user or (access is Access.USER_OR_SERVICE and is_service)
        if access in (Access.USER, Access.USER_OR_SERVICE) and not is_enough:
            raise Refusal(Reason.UNAUTHENTICATED, "a token is needed: authorization: Bearer <token>")
        return user if user.is_user or not is_service else Identity(is_service=True)

    async def admit_soon(self, method: str, metadata: Mapping[str, str]) -> Identity:
        """The same; waits, up to WAIT_S, for a key that has to be fetched."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while True:
                    try:
                        return self.admit(method, metadata)
                    except KeysNeeded as needed:
                        # Unlike wait_for and gather, this leaves to the others what it stops to wait for.
                        await asyncio.wait([asyncio.wrap_future(needed.fetched)])
        return self.admit(method, metadata)

    def _is_service(self, given: str | None) -> bool:
        if given is None:
            return False
        if not hmac.compare_digest(given.encode(), self._service_token):
            raise Refusal(Reason.UNAUTHENTICATED, "the service token is not valid")
        return True


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Runs the Authenticator before each call and leaves the answer where ``caller()`` finds it."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        metadata = {
            key: value for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)
        }
        try:
            _caller.set(await self._authenticator.admit_soon(handler_call_details.method, metadata))
        except Refusal as refusal:
            return handler and _refuse(handler, refusal)
        return handler


def _refuse(handler: grpc.RpcMethodHandler[Any, Any], refusal: Refusal) -> grpc.RpcMethodHandler[Any, Any]:
    async def abort(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await abort_with(context, refusal)

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(abort, handler.request_deserializer, handler.response_serializer)


async def abort_with(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> None:
    """Ends a call with the refusal's status; does not return."""
    await context.abort_with_status(refusal.to_status())

"""Turns what a method raises into a gRPC status, in one place for all services."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from livecomments.errors import Reason, Refusal
from livecomments.telemetry import log

Handler = Any
"""grpc.RpcMethodHandler; its stubs know the methods of synchronous servers only."""
Context = grpc.aio.ServicerContext[Any, Any]


class RefusalInterceptor(grpc.aio.ServerInterceptor):
    """A Refusal becomes its row of the error table; anything unexpected is logged and becomes OVERLOADED."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/livecomments."):
            return handler
        if handler.response_streaming:
            method = handler.stream_stream if handler.request_streaming else handler.unary_stream
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(_guard_stream(method), handler.request_deserializer, handler.response_serializer)
        return grpc.unary_unary_rpc_method_handler(
            _guard_unary(handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )


def _guard_unary(method: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    @functools.wraps(method)
    async def guarded(request: Any, context: Context) -> Any:
        try:
            return await method(request, context)
        except Exception as error:
            await _abort(context, error)

    return guarded


def _guard_stream(method: Callable[[Any, Context], AsyncIterator[Any]]) -> Callable[[Any, Context], AsyncIterator[Any]]:
    @functools.wraps(method)
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for response in method(request, context):
                yield response
        except Exception as error:
            await _abort(context, error)

    return guarded


async def _abort(context: Context, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, Refusal):
        refusal = error
    else:
        log().error("a call failed", exc_info=error)
        refusal = Refusal(Reason.OVERLOADED, "something went wrong on our side", retry_after_ms=1_000)
    await context.abort_with_status(refusal.to_status())

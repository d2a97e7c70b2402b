"""Turns what a method raises into a gRPC status, in one place for all services."""

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
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


Streaming = Callable[[Any, Context], AsyncGenerator[Any, None] | Awaitable[None]]
"""An async generator of responses, or a coroutine that writes them with ``context.write``."""


def _guard_stream(method: Streaming) -> Callable[[Any, Context], Awaitable[None]]:
    async def guarded(request: Any, context: Context) -> None:
        try:
            answer = method(request, context)
            if isinstance(answer, AsyncGenerator):
                # Closed here, in the call's own task: grpc leaves that to the garbage collector when a call is
                # cancelled, so that a method's cleanup would run some time later, in another task.
                async with aclosing(answer) as responses:
                    async for response in responses:
                        await context.write(response)
            else:
                await answer
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

"""What ``help()`` and the reference show of methods that are made from requests."""

import inspect
from collections.abc import Callable
from types import GenericAlias, NoneType
from typing import Any, get_args


def tell_answer(method: Callable[..., Any], make: Callable[..., Any]) -> None:
    """A method that gives the ``T`` of a request for a ``Call[T]``."""
    _tell(method, make, _answer_of(make))


def tell_many(method: Callable[..., Any], make: Callable[..., Any], iterator: type) -> None:
    """A method that gives an iterator over the ``T`` of a request for a ``Call[Page[T]]``."""
    _tell(method, make, GenericAlias(iterator, get_args(_answer_of(make))))


def tell_events(method: Callable[..., Any], make: Callable[..., Any], watch: type) -> None:
    """A method that gives a watch."""
    _tell(method, make, watch)


def _answer_of(make: Callable[..., Any]) -> Any:
    (answer,) = get_args(inspect.signature(make).return_annotation)
    return None if answer is NoneType else answer


def _tell(method: Callable[..., Any], make: Callable[..., Any], given: Any) -> None:
    signature = inspect.signature(make)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__name__ = method.__qualname__ = make.__name__
    method.__doc__ = make.__doc__
    method.__dict__["__signature__"] = signature.replace(
        parameters=[itself, *signature.parameters.values()], return_annotation=given
    )

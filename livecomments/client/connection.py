"""Where the services are, and who calls them: what both clients are made with."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakSet

import grpc

from livecomments.calls import SERVICE_TOKEN_KEY, Metadata
from livecomments.client.call import Service

GivenT = TypeVar("GivenT")
"""What a token's callback gives: a string, or on asyncio also something to await for one."""
ChannelT = TypeVar("ChannelT")
WatchT = TypeVar("WatchT")


class Closed(RuntimeError):
    """The client was closed; it can't be used any more."""

    def __init__(self) -> None:
        super().__init__("the client is closed")


class Connection(ABC, Generic[GivenT, ChannelT, WatchT]):
    """Addresses, credentials, and the channels to the services, opened when they are first needed."""

    def __init__(
        self,
        *,
        core: str | None = None,
        fanout: str | None = None,
        storage: str | None = None,
        token: str | Callable[[], GivenT] = "",
        service_token: str = "",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """The addresses are gRPC targets (``host:port``); leave out those that you don't need.

        ``token`` is the caller's JWT, or is called before each try and gives one that is valid then: watches outlive
        tokens. Empty: nobody, who may watch and read public streams. ``service_token`` is for a service of the house,
        which then rules every stream (a caller's JWT beside it makes it act as that user). ``credentials`` turn TLS
        on (``grpc.ssl_channel_credentials()``).
        """
        self._targets = {Service.CORE: core, Service.FANOUT: fanout, Service.STORAGE: storage}
        self._token = token
        self._service_token = service_token
        self._credentials = credentials
        self._channels: dict[Service, ChannelT] = {}
        self._watches: WeakSet[WatchT] = WeakSet()
        self._is_closed = False
        self._lock = threading.Lock()

    @abstractmethod
    def _open(self, target: str) -> ChannelT:
        """A new channel."""

    def _channel(self, service: Service) -> ChannelT:
        """Raises Closed, and ValueError where no address was given."""
        with self._lock:
            if self._is_closed:
                raise Closed
            if service not in self._channels:
                self._channels[service] = self._open(self._target(service))
            return self._channels[service]

    def _target(self, service: Service) -> str:
        target = self._targets[service]
        if target is None:
            raise ValueError(f"{type(self).__name__} was made without the address of {service}")
        return target

    def _shut(self) -> tuple[list[WatchT], list[ChannelT]]:
        """Lets nothing begin any more; what is to be closed, the first time."""
        with self._lock:
            self._is_closed = True
            open_ones = list(self._watches), list(self._channels.values())
            self._watches.clear()
            self._channels.clear()
        return open_ones

    def _kept(self, watch: WatchT) -> WatchT:
        """The watch, which is closed with this client. Raises Closed."""
        with self._lock:
            if self._is_closed:
                raise Closed
            self._watches.add(watch)
        return watch

    def _metadata_of(self, token: str) -> Metadata:
        user = (("authorization", f"Bearer {token}"),) if token else ()
        return (*user, (SERVICE_TOKEN_KEY, self._service_token)) if self._service_token else user

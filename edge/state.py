"""What the routes work with: everything one edge process holds."""

import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import trio
from quart import current_app, request
from werkzeug.datastructures import Headers

from edge import metrics
from edge.addresses import Proxies
from edge.auth import Authenticator
from edge.broadcast import Broadcast
from edge.cores import Cores, open_cores
from edge.credentials import Asking, Credentials
from edge.expiry import Stay, stay_from
from edge.feeds import Feeds, open_feeds
from edge.headers import Origins
from edge.limits import AddressLimit
from edge.memory import Limits
from edge.pages import Pages, open_pages
from edge.recent import RecentReads
from edge.session import SessionLimits
from edge.sessions import Sessions
from edge.settings import EdgeSettings
from edge.tickets import Purpose, Tickets
from edge.upstream import Metadata
from edge.workers import Workers
from livecomments.errors import Reason, Refusal
from livecomments.identity import SERVICE_TOKEN_KEY
from livecomments.issuers import open_token_check
from livecomments.page_tokens import PageTokens
from livecomments.tokens import Identity

EXTENSION = "livecomments"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(eq=False)
class Edge:
    """One edge process. Open with ``open_edge()``."""

    settings: EdgeSettings
    workers: Workers
    """This process among the others."""
    service: Metadata
    """Our own identity, for calls to the other services."""
    authenticator: Authenticator
    credentials: Credentials
    tickets: Tickets
    proxies: Proxies
    addresses: AddressLimit
    cores: Cores
    feeds: Feeds
    pages: Pages
    recent: RecentReads
    broadcast: Broadcast
    sessions: Sessions
    ordinary_viewers: int = 0
    """Viewers that Hypercorn still serves."""
    is_draining: bool = False

    @property
    def origins(self) -> Origins:
        """Whose pages may call."""
        return self.credentials.origins

    def ticket_holder(self, asking: Asking, ticket: str, stream_id: str, purpose: Purpose) -> Identity | None:
        """Who holds a ticket (empty for none); None where the request says by a header who sends it, or not at all.

        Raises Refusal(UNAUTHENTICATED) for a ticket that is not good for this.
        """
        if not ticket or asking.authorization is not None:
            return None
        return self.tickets.take(ticket, stream_id, purpose, time.time())

    @property
    def room(self) -> int:
        """How many more viewers may come; none while it drains."""
        return 0 if self.is_draining else max(0, self.settings.edge_max_viewers - self.viewers)

    def require_room(self) -> None:
        """Raises Refusal when no viewer may come: DRAINING, or OVERLOADED when too many are here."""
        self.require_not_draining()
        if self.viewers >= self.settings.edge_max_viewers:
            raise Refusal(Reason.OVERLOADED, "too many viewers", retry_after_ms=random.randint(1_000, 5_000))

    def require_not_draining(self) -> None:
        """Raises Refusal(DRAINING): another edge answers, and not all come back to it at once."""
        if self.is_draining:
            raise Refusal(Reason.DRAINING, "this edge is shutting down", retry_after_ms=random.randint(500, 2_000))

    @property
    def viewers(self) -> int:
        """All viewers of this process."""
        return self.ordinary_viewers + len(self.broadcast)

    def stay(self, identity: Identity) -> Stay:
        """How long a viewer may stay that comes now."""
        left_s = identity.expires_at - time.time() if identity.expires_at else math.inf
        return stay_from(trio.current_time(), self.settings.edge_max_connection_age_s, left_s, random.random())

    async def dismiss_over(self, seconds: float) -> None:
        """Sends all viewers away, a part at a time, so that they do not all come back at once."""
        async with trio.open_nursery() as both:
            both.start_soon(self.feeds.dismiss_over, seconds)
            both.start_soon(self.sessions.dismiss_over, seconds)

    @property
    def is_ready(self) -> bool:
        """Reached everything once, and not on the way out. Whatever is lost later is answered request by request:
        taking all edges away at once would turn a hiccup into an outage.
        """
        return self.cores.connected.is_set() and self.feeds.connected.is_set() and not self.is_draining


@asynccontextmanager
async def open_edge(settings: EdgeSettings, workers: Workers) -> AsyncIterator[Edge]:
    """Everything, for as long as the context is open; raises SettingsError."""
    service = ((SERVICE_TOKEN_KEY, settings.service_token()),)
    origins = Origins(frozenset(settings.edge_cors_origins), bool(settings.edge_cookie))
    limits = Limits(
        settings.edge_resume_s,
        settings.edge_resume_max_events,
        settings.edge_resume_max_bytes,
        settings.edge_max_comments_per_second,
    )
    broadcast = Broadcast(settings.edge_backlog_bytes, settings.edge_heartbeat_s)
    sessions = Sessions(
        workers.name,
        SessionLimits(settings.edge_session_max_streams, settings.edge_backlog_bytes, settings.edge_resume_max_bytes),
    )
    async with AsyncExitStack() as opened:
        check = opened.enter_context(open_token_check(settings))
        cores = await opened.enter_async_context(
            open_cores(settings.core_urls, service, settings.edge_posts_waiting, settings.edge_post_wait_s)
        )
        feeds = await opened.enter_async_context(open_feeds(settings.fanout_urls, limits, service, broadcast))
        pages = await opened.enter_async_context(open_pages(settings.storage_urls))
        edge = Edge(
            settings,
            workers,
            service,
            Authenticator(check),
            Credentials(settings.edge_cookie or "", origins),
            Tickets.of(settings.service_token()),
            Proxies(settings.edge_trusted_hops, settings.edge_forwarded_header),
            AddressLimit(settings.edge_address_rate, settings.edge_address_burst),
            cores,
            feeds,
            pages,
            RecentReads(feeds, pages, PageTokens.of(settings.service_token())),
            broadcast,
            sessions,
        )
        metrics.connections.set_function(lambda: edge.viewers)
        metrics.ordinary_viewers.set_function(lambda: edge.ordinary_viewers)
        yield edge


def this_edge() -> Edge:
    """The edge that handles the current request."""
    return cast("Edge", current_app.extensions[EXTENSION])


def asking_of(headers: Headers) -> Asking:
    """What a request's headers say of who sends it."""
    # Over HTTP/2 each cookie may have a line of its own.
    cookies = "; ".join(headers.getlist("Cookie")) or None
    return Asking(headers.get("Authorization"), cookies, headers.get("Origin"), headers.get("Host"))


def authorization() -> str | None:
    """The current request's: its header, or what its cookie stands for. Raises Refusal as Credentials does."""
    credentials, asking = this_edge().credentials, asking_of(request.headers)
    is_reading = request.method in _READING
    return credentials.for_reading(asking) if is_reading else credentials.for_changing(asking)


def identify() -> Identity:
    """Who sends the current request; raises Refusal: UNAUTHENTICATED for a bad token, FORBIDDEN as Credentials."""
    return this_edge().authenticator.identify(authorization())


def require_user() -> Identity:
    """The same, for what needs a user."""
    identity = identify()
    if not identity.is_user:
        raise Refusal(Reason.UNAUTHENTICATED, "a token is needed: Authorization: Bearer <token>")
    return identity


def on_behalf() -> Metadata:
    """Metadata for a call that the other service decides by the user's own token, or as for anyone without one.

    Our own identity stays out of it: what a service may see is not what its user may see.
    """
    found = authorization()
    return (("authorization", found),) if found else ()


def sender_address() -> str:
    """Where the current request comes from, for the per-address limit."""
    return forwarded_address(this_edge(), request.headers) or request.remote_addr or ""


def forwarded_address(edge: Edge, headers: Headers) -> str:
    """Where a request comes from when a proxy in front says so; empty when it is where the connection comes from."""
    # Some proxies append a line of their own.
    return edge.proxies.viewer(",".join(headers.getlist(edge.proxies.header)))


async def body() -> bytes:
    """The current request's body; raises Refusal(BODY_TOO_LARGE) as soon as it is known to be."""
    limit = this_edge().settings.edge_body_max
    length = request.content_length
    if length is not None and length > limit:
        raise Refusal(Reason.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")
    return cast("bytes", await request.get_data())

"""The connections of this process that watch many streams, by id."""

import math
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from edge import metrics
from edge.composite import Places
from edge.expiry import Stay
from edge.session import Session, SessionLimits, no_session
from livecomments.errors import Reason, Refusal
from livecomments.tokens import Identity

_DISMISS_EVERY_S = 0.1
_ID_BYTES = 16


class Sessions:
    """All sessions of this process, by id."""

    def __init__(self, process: str, limits: SessionLimits) -> None:
        """``process``: this one's name among the others of its edge, without a hyphen."""
        self._process = process
        self._limits = limits
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def new(self, identity: Identity, places: Places, stay: Stay, abort: Callable[[], None]) -> Iterator[Session]:
        """A session for as long as the context is open, and beyond it only once a descriptor holds it.

        ``abort`` cuts the connection when it can't keep up before that.
        """
        # Unguessable: whoever knows the id of a session that nobody signed in for may change it.
        session_id = f"{self._process}-{secrets.token_urlsafe(_ID_BYTES)}"
        session = Session(session_id, identity, places, self._limits, stay=stay, abort=abort, closed=self._forget)
        self._sessions[session_id] = session
        metrics.sessions.inc()
        try:
            yield session
        finally:
            if not session.is_seated:
                session.close()

    def find(self, session_id: str, identity: Identity) -> Session:
        """The session, for someone who may change it: who opened it, or anyone when nobody signed in for it.

        Raises Refusal: SESSION_NOT_FOUND, UNAUTHENTICATED, FORBIDDEN.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise no_session()
        if session.identity.user_id not in ("", identity.user_id):
            reason = Reason.FORBIDDEN if identity.is_user else Reason.UNAUTHENTICATED
            raise Refusal(reason, "this session is another user's: the token of who opened it is needed")
        return session

    async def dismiss_over(self, seconds: float) -> None:
        """Ends all sessions, a part at a time, so that they do not all come back at once."""
        steps = max(1, round(seconds / _DISMISS_EVERY_S))
        for left in range(steps, 0, -1):
            staying = list(self._sessions.values())
            for session in staying[: math.ceil(len(staying) / left)]:
                session.dismiss(random.randint(200, 2_000))
            if left == 1 or not self._sessions:
                return
            await trio.sleep(_DISMISS_EVERY_S)

    def _forget(self, session: Session) -> None:
        del self._sessions[session.id]
        metrics.sessions.dec()


def process_of(session_id: str) -> str:
    """The name of the process that has the session; anything for what is no session's id."""
    return session_id.partition("-")[0]

"""How a core learns what another decided: by the log, or faster, by the summaries of what stands in it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from core.gist import gist_of
from core.ledger import CLOCK_STEP_MS, Ledger
from core.limits import UserLimits, UserRate
from core.requests import REMEMBERED_MS
from core.stream_log import LogGist, LogMessage, LogUnreadable, StreamLog
from core.summaries import StreamSummaries, SummariesUnreadable
from core.summary import Charges, Summary, linked
from livecomments.telemetry import log

_SKEW_MS = 10_000
"""How far the clocks of core and nats-server may be apart."""

Watch = Callable[[int, str], None]
"""Is told the sequence and the Nats-Msg-Id of each message that is read."""


async def by_log(ledger: Ledger, stream_log: StreamLog, rate: UserRate, last: LogMessage, watch: Watch) -> None:
    """Fills a new ledger from the log, which holds ``last`` at least; raises LogUnreadable."""
    since_ms = _ago(REMEMBERED_MS)
    await stream_log.replay_gists_since(since_ms, _learning(ledger, watch))
    if ledger.last_seq == 0 and last.stored_at_ms < since_ms:
        _learning(ledger, watch)(LogGist(last.seq, last.msg_id, gist_of(last.batch)))
    check_reached(ledger, last.seq)
    await _charge(ledger, stream_log, rate, last, watch)


async def by_summaries(
    ledger: Ledger, stream_log: StreamLog, summaries: StreamSummaries, rate: UserRate, last: LogMessage
) -> bool:
    """The same by the summaries, and by what stands in the log before and behind those.

    False when there are none that fit the log: the ledger must be thrown away then. Raises LogUnreadable.
    """
    try:
        chain = linked(await summaries.read(), last.seq)
        if not chain:
            return False
        end = await stream_log.next(chain[-1].last_seq)
        if end is None or not chain[-1].ends_with(end.seq, gist_of(end.batch)):
            log().warning("summaries do not fit the log", stream=ledger.stream.stream_id, seq=chain[-1].last_seq)
            return False
        await _learn_before(ledger, stream_log, chain)
        for summary in chain:
            ledger.adopt(summary)
            ledger.forget_requests()
            # Each takes a millisecond or two: the other streams must not wait for all of them.
            await asyncio.sleep(0)
        known_from_ms = chain[-1].times_ms[-1]
        if look_back := look_back_ms(ledger, rate):
            charges = await summaries.read_charges()
            known_from_ms = await _adopt_charges(ledger, chain, charges, ledger.last_at_ms - look_back)
    except SummariesUnreadable as error:
        log().warning("summaries not read", stream=ledger.stream.stream_id, error=str(error))
        return False
    await stream_log.replay_from(ledger.last_seq + 1, into(ledger, unwatched))
    check_reached(ledger, last.seq)
    if known_from_ms > ledger.last_at_ms - look_back_ms(ledger, rate):
        # Also when slow mode was made longer behind the last summary.
        ledger.limits = UserLimits(rate)
        await _charge(ledger, stream_log, rate, last, unwatched)
    return True


def look_back_ms(ledger: Ledger, rate: UserRate) -> int:
    """How long a comment may hold its author back."""
    return max(ledger.stream.slow_mode_s * 1000, int(rate.window_ms))


def into(ledger: Ledger, watch: Watch) -> Callable[[LogMessage], None]:
    """Applies to the ledger, and tells ``watch``, what is read."""

    def apply(message: LogMessage) -> None:
        ledger.apply(message.seq, message.batch)
        watch(message.seq, message.msg_id)

    return apply


def _learning(ledger: Ledger, watch: Watch) -> Callable[[LogGist], None]:
    def learn(message: LogGist) -> None:
        ledger.learn(message.seq, message.gist)
        ledger.forget_requests()
        if ledger.stretch.is_long:
            ledger.begin_stretch()
        watch(message.seq, message.msg_id)

    return learn


async def _learn_before(ledger: Ledger, stream_log: StreamLog, chain: Sequence[Summary]) -> None:
    """What still counts of all that stands before the summaries."""
    first, last = chain[0], chain[-1]
    if first.after_seq == 0 or first.times_ms[0] <= last.times_ms[-1] - REMEMBERED_MS - CLOCK_STEP_MS:
        return
    since_ms = _ago(REMEMBERED_MS)
    await stream_log.replay_gists_since(since_ms, _learning(ledger, unwatched), first.after_seq)
    if ledger.last_seq != first.after_seq:
        before = await stream_log.next(first.after_seq)
        if before is not None and before.seq == first.after_seq and before.stored_at_ms >= since_ms:
            raise LogUnreadable("the consumer stands behind the leader")


async def _adopt_charges(ledger: Ledger, chain: Sequence[Summary], charges: Iterable[Charges], from_ms: int) -> int:
    """Adopts those that lead without a gap to the end of the chain, as many as are needed from ``from_ms`` on.

    Returns since when all are known, ms since the Unix epoch, on the clock of the posts.
    """
    by_end = {each.last_seq: each for each in charges}
    known = []
    known_from_ms = chain[-1].times_ms[-1]
    for summary in reversed(chain):
        found = by_end.get(summary.last_seq)
        if known_from_ms <= from_ms or found is None or found.after_seq != summary.after_seq:
            break
        known.append(found)
        known_from_ms = summary.times_ms[0] if summary.after_seq else 0
    for found in reversed(known):
        ledger.limits.restore(found.user_ids, found.full_at_ms, found.last_ms)
        await asyncio.sleep(0)
    return known_from_ms


async def _charge(ledger: Ledger, stream_log: StreamLog, rate: UserRate, last: LogMessage, watch: Watch) -> None:
    """Who posted so lately that their limits may still hold them back; and what was appended meanwhile."""
    charged_seq = 0

    def charge(message: LogMessage) -> None:
        nonlocal charged_seq
        if message.seq <= ledger.last_seq:
            ledger.charge(message.batch)
        else:
            ledger.apply(message.seq, message.batch)
            watch(message.seq, message.msg_id)
        charged_seq = message.seq

    since_ms = _ago(look_back_ms(ledger, rate))
    await stream_log.replay_since(since_ms, charge)
    if charged_seq < last.seq and last.stored_at_ms >= since_ms:
        raise LogUnreadable("the consumer stands behind the leader")
    if ledger.stretch.is_too_long:
        # Left out of the summaries: who takes over next reads this part of the log, too.
        ledger.begin_stretch()


def check_reached(ledger: Ledger, seq: int) -> None:
    """Raises LogUnreadable where what was read ends before a message that stands in the log."""
    if ledger.last_seq < seq:
        raise LogUnreadable("the consumer stands behind the leader")


def _ago(ms: int) -> int:
    """The time on nats-server's clock, ms since the Unix epoch, that is at least so long ago on ours."""
    return int(time.time() * 1000) - ms - _SKEW_MS


def unwatched(_seq: int, _msg_id: str) -> None:
    """Nobody watches."""

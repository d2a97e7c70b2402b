"""Whatever happens to live messages, the log's order comes out, each message once."""

from itertools import accumulate

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from fanout.gaps import Sequencer, Verdict, judge
from fanout.messages import LogMessage
from livecomments.v1.comment_pb2 import EventBatch


def message(seq: int) -> LogMessage:
    return LogMessage(seq, EventBatch(), b"x" * 10)


def test_a_message_is_dropped_passed_or_shows_a_gap() -> None:
    assert judge(last=5, seq=5, previous=4) is Verdict.DROP
    assert judge(last=5, seq=4, previous=9) is Verdict.DROP
    assert judge(last=5, seq=9, previous=5) is Verdict.PASS
    assert judge(last=5, seq=9, previous=6) is Verdict.GAP


def test_a_header_of_zero_or_below_ours_follows_a_purge_and_is_no_gap() -> None:
    assert judge(last=5, seq=9, previous=0) is Verdict.PASS
    assert judge(last=5, seq=9, previous=3) is Verdict.PASS


def test_what_comes_before_the_beginning_is_held_and_stitched_on() -> None:
    sequencer = Sequencer(1_000)
    assert sequencer.heard(message(4), 3) == []
    assert sequencer.heard(message(5), 4) == []
    assert not sequencer.wanted
    assert [one.seq for one in sequencer.open(4)] == [5]
    assert not sequencer.wanted


def test_a_late_message_fills_its_gap_without_the_log() -> None:
    sequencer = Sequencer(1_000)
    sequencer.open(1)
    assert sequencer.heard(message(3), 2) == []
    assert sequencer.wanted == 2
    assert [one.seq for one in sequencer.heard(message(2), 1)] == [2, 3]
    assert not sequencer.wanted


def test_more_than_may_be_held_is_forgotten_and_asked_for() -> None:
    sequencer = Sequencer(25)
    sequencer.open(1)
    for seq in (3, 4, 5):
        assert sequencer.heard(message(seq), seq - 1) == []
    assert sequencer.wanted == 5
    assert [one.seq for one in sequencer.fetched([message(seq) for seq in (2, 3, 4, 5)], 5)] == [2, 3, 4, 5]
    assert not sequencer.wanted


def test_a_gap_of_which_the_log_knows_nothing_is_closed() -> None:
    sequencer = Sequencer(1_000)
    sequencer.open(1)
    assert sequencer.heard(message(9), 8) == []
    assert [one.seq for one in sequencer.fetched([], 8)] == [9]
    assert not sequencer.wanted


class AnyDelivery(RuleBasedStateMachine):
    """A log that has everything, a subscription that loses, doubles, delays and reorders, and answers that are late."""

    @initialize(
        steps=st.lists(st.integers(1, 3), min_size=1, max_size=12),
        begin=st.integers(0, 12),
        hold_bytes=st.integers(0, 60),
    )
    def start(self, steps: list[int], begin: int, hold_bytes: int) -> None:
        self.log = list(accumulate(steps))
        self.begin = begin
        self.expected = [seq for seq in self.log if seq > begin]
        self.sequencer = Sequencer(hold_bytes)
        self.passed: list[int] = []
        self.opened = False
        self.asked: int | None = None
        self.heard_up_to = 0

    @precondition(lambda self: not self.opened)
    @rule()
    def open(self) -> None:
        self.opened = True
        self.take(self.sequencer.open(self.begin))

    @rule(index=st.integers(0, 11))
    def hear(self, index: int) -> None:
        index %= len(self.log)
        previous = self.log[index - 1] if index else 0
        self.heard_up_to = max(self.heard_up_to, self.log[index])
        self.take(self.sequencer.heard(message(self.log[index]), previous))

    @precondition(lambda self: self.opened)
    @rule()
    def ask_the_log(self) -> None:
        self.asked = self.sequencer.last

    @precondition(lambda self: self.asked is not None)
    @rule(at_most=st.integers(1, 3))
    def the_log_answers(self, at_most: int) -> None:
        assert self.asked is not None
        self.answer(self.asked, at_most)
        self.asked = None

    def answer(self, after: int, at_most: int) -> None:
        page = [message(seq) for seq in self.log if seq > after][:at_most]
        if page:
            self.take(self.sequencer.fetched(page, page[-1].seq))

    def take(self, messages: list[LogMessage]) -> None:
        self.passed.extend(one.seq for one in messages)
        assert self.passed == self.expected[: len(self.passed)]

    def teardown(self) -> None:
        if not self.opened:
            self.open()
        while self.sequencer.wanted:
            self.answer(self.sequencer.last, 3)
        # Nothing that was heard is missing, nor what stands before it.
        assert [seq for seq in self.expected if seq <= self.heard_up_to] == [
            seq for seq in self.passed if seq <= self.heard_up_to
        ]
        # A probe finds the rest.
        while self.sequencer.last < self.log[-1]:
            self.answer(self.sequencer.last, 3)
        assert self.passed == self.expected


test_any_loss_doubling_delay_and_reordering_gives_the_logs_order_once = AnyDelivery.TestCase

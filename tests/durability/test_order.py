"""The checks themselves: what they make of traces in which all is well, and of such in which it is not."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability import nats_log, writer_log
from tests.durability.disk import missing_on_disk
from tests.durability.syscalls import Call, CutShort, Moment, parse

RECORDED = (Path(__file__).parent / "recorded.strace").read_text().splitlines()
"""nats-server with sync_interval: always, as strace saw three messages pass."""
BLOCK = "/data/nats/jetstream/$G/streams/COMMENTS_0/msgs/1.blk"
WAL = "/data/comments.db-wal"
ACK = '"PUB $JS.ACK.COMMENTS_0.storage.1.{seq}.{seq}.1795275601.0  0\\r\\n\\r\\n", 60'


def syncs() -> list[int]:
    """The lines of the recorded trace in which the log is synced."""
    return [number for number, line in enumerate(RECORDED) if " fsync(" in line and BLOCK in line]


def too_soon(lines: list[str]) -> list[str]:
    calls = parse(lines)
    return nats_log.too_soon(calls, nats_log.pub_acks(calls) + nats_log.shown(calls))


def test_a_trace_is_read_as_the_calls_that_were_made() -> None:
    calls = parse(RECORDED)
    written = [call for call in calls if call.target == BLOCK and call.name == "pwrite64"]
    assert [call.span for call in written] == [range(319), range(319, 638), range(3190, 3511)]
    assert all(len(call.data) == call.result for call in written)
    assert {call.target for call in calls if call.is_to_network} == {
        "TCP:[127.0.0.1:43775->127.0.0.1:39472]",
        "TCP:[127.0.0.1:43775->127.0.0.1:39480]",
        "TCP:[127.0.0.1:43775->127.0.0.1:39482]",
    }
    assert [(record.seq, record.span) for record in nats_log.records(calls, "/COMMENTS_0/")] == [
        (1, range(319)),
        (2, range(319, 638)),
        (11, range(3190, 3511)),
    ]
    assert {(told.stream, told.seq) for told in nats_log.pub_acks(calls)} == {("COMMENTS_0", n) for n in (1, 2, 11)}
    assert {told.seq for told in nats_log.shown(calls)} == {1, 2, 11}


def test_a_call_that_was_interrupted_begins_and_ends_where_it_did() -> None:
    synced = [call for call in parse(RECORDED) if call.is_sync and call.target == BLOCK][-1]
    assert " <unfinished ...>" in RECORDED[synced.begin.line]
    assert "<... fsync resumed>) = 0" in RECORDED[synced.end.line]
    assert synced.begin.at_us + 15_045 == synced.end.at_us


def test_a_trace_that_leaves_out_what_was_written_proves_nothing() -> None:
    with pytest.raises(CutShort):
        parse(['7 1.000000 pwrite64(9</data/1.blk>, "ab"..., 9, 0) = 9 <0.000001>'])


def test_what_was_recorded_is_in_order() -> None:
    assert too_soon(RECORDED) == []


def without_sync(lines: list[str], at: int) -> None:
    del lines[at]


def sync_that_failed(lines: list[str], at: int) -> None:
    lines[at] = lines[at].replace(") = 0 <", ") = -1 EIO (Input/output error) <")


def sync_of_another_file(lines: list[str], at: int) -> None:
    lines[at] = lines[at].replace(BLOCK, BLOCK.replace("1.blk", "2.blk"))


def sync_before_the_write(lines: list[str], at: int) -> None:
    lines[at - 1], lines[at] = lines[at], lines[at - 1]


def sync_that_began_before_the_write(lines: list[str], at: int) -> None:
    pid, time, rest = lines[at].split(" ", 2)
    begin, end = rest.split(") =")
    lines[at] = f"{pid} {time} <... fsync resumed>) ={end}"
    lines.insert(at - 1, f"{pid} {time} {begin} <unfinished ...>")
    # The write is another thread's then.
    lines[at] = lines[at].replace(pid, "1", 1)


def sync_that_ended_after_the_acknowledgement(lines: list[str], at: int) -> None:
    lines.append(lines.pop(at))


def another_write_behind_the_sync(lines: list[str], at: int) -> None:
    lines.insert(at + 1, f'5 1795275601.300000 pwrite64(9<{BLOCK}>, "x", 1, 400) = 1 <0.000001>')


@pytest.mark.parametrize(
    "spoil",
    [
        without_sync,
        sync_that_failed,
        sync_of_another_file,
        sync_before_the_write,
        sync_that_began_before_the_write,
        sync_that_ended_after_the_acknowledgement,
        another_write_behind_the_sync,
    ],
)
def test_a_message_that_is_not_synced_in_time_is_found(spoil: Callable[[list[str], int], None]) -> None:
    lines = RECORDED.copy()
    spoil(lines, syncs()[1])
    complaints = too_soon(lines)
    assert {complaint.split(":")[0] for complaint in complaints} == {"COMMENTS_0 2"}, complaints
    assert all("written, but not synced" in complaint for complaint in complaints)


def test_a_message_that_was_never_written_is_found() -> None:
    lines = [line for line in RECORDED if f'pwrite64(9<{BLOCK}>, "A' not in line]
    assert set(too_soon(lines)) == {"COMMENTS_0 11: no record was written"}


def test_an_acknowledgement_is_found_in_whatever_pieces_it_was_sent() -> None:
    pieces = ['MSG _INBOX.a 1 32\\r\\n{\\"stream\\":\\"COMM', 'ENTS_0\\",\\"seq\\":12', "}\\r\\n"]
    lines = [
        f'7 1.00000{number} write(12<TCP:[127.0.0.1:1->127.0.0.1:2]>, "{piece}", 99) = {len(piece)} <0.000001>'
        for number, piece in enumerate(pieces)
    ]
    assert nats_log.pub_acks(parse(lines)) == [nats_log.Told("COMMENTS_0", 12, Moment(0, 0, 1_000_000))]


@pytest.fixture
def wal(tmp_path: Path) -> list[str]:
    """A trace of a writer: two rows, each in a transaction of several frames, written, synced and acknowledged."""
    database = sqlite3.connect(tmp_path / "comments.db", isolation_level=None)
    database.execute("PRAGMA page_size = 512")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE comments (text, meta)")
    database.execute("CREATE INDEX by_meta ON comments (meta)")
    lines, written = [], 0
    for seq, text in enumerate(("first", "second"), 1):
        database.execute("INSERT INTO comments VALUES (?, ?)", (text, "m" * 300))
        data = (tmp_path / "comments.db-wal").read_bytes()
        for start in (0, *range(32, len(data), 536)):
            if start >= written:
                frame = data[start : start + (536 if start else 32)]
                lines.append(pwrite(frame[:24], start) if start else pwrite(frame, start))
                lines += [pwrite(frame[24:], start + 24)] if start else []
        written = len(data)
        lines.append(f"8 1.000000 fdatasync(23<{WAL}>) = 0 <0.000001>")
        lines.append(f"9 1.000000 write(25<TCP:[127.0.0.1:1->127.0.0.1:2]>, {ACK.format(seq=seq)}) = 60 <0.000001>")
    database.close()
    return lines


def pwrite(data: bytes, offset: int) -> str:
    text = "".join(f"\\{byte:03o}" for byte in data)
    return f'8 1.000000 pwrite64(23<{WAL}>, "{text}", {len(data)}, {offset}) = {len(data)} <0.000001>'


def acknowledged_too_soon(lines: list[str]) -> list[str]:
    return writer_log.too_soon(parse(lines), WAL, {1: b"first", 2: b"second"})


def test_a_row_that_is_synced_before_its_acknowledgement_is_fine(wal: list[str]) -> None:
    assert acknowledged_too_soon(wal) == []


def test_a_row_whose_acknowledgement_came_before_the_sync_is_found(wal: list[str]) -> None:
    wal[-2:] = wal[:-3:-1]
    (complaint,) = acknowledged_too_soon(wal)
    assert complaint.startswith("2: ")
    assert "written, but not synced" in complaint


def test_a_row_whose_transaction_was_only_half_synced_is_found(wal: list[str]) -> None:
    """The frame with the row alone is worth nothing without the one that commits."""
    wal.insert(-4, wal.pop(-2))
    (complaint,) = acknowledged_too_soon(wal)
    assert complaint.startswith("2: ")


def test_rows_that_were_not_written_or_not_acknowledged_are_told_apart(wal: list[str]) -> None:
    assert writer_log.too_soon(parse(wal), WAL, {1: b"first", 2: b"third", 3: b"second"}) == [
        "2: no transaction wrote it",
        "3: was not acknowledged",
    ]


def test_bytes_that_nobody_wrote_are_not_on_disk() -> None:
    at = Moment(0, 0, 0)
    write = Call("pwrite64", WAL, bytes(10), 0, 10, at, at)
    assert missing_on_disk([write], WAL, range(11), Moment(0, 1, 0)) == f"bytes 0 to 11 of {WAL} were not all written"


def test_traces_of_several_processes_are_ordered_by_the_clock() -> None:
    early, late = Moment(0, 900, 5), Moment(1, 3, 6)
    assert early.precedes(late)
    assert not late.precedes(early)

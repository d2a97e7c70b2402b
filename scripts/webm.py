"""WebM files (Matroska, RFC 9559) of one video track: as much of the format as a player needs to play and to seek."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One encoded picture."""

    at_ms: int
    is_key: bool
    """It needs no other one to be shown."""
    data: bytes


@dataclass(frozen=True)
class Track:
    """What all pictures have in common."""

    codec: str
    """As Matroska calls it: ``V_VP9``."""
    width: int
    height: int
    picture_ms: int
    """How long each is shown."""


_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_INFO, _TRACKS, _CUES, _CLUSTER = 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675
_CLUSTER_MOST_MS = 32_767
"""A picture says its place in the cluster in 16 bits, with a sign."""


def webm(track: Track, pictures: Sequence[Picture]) -> bytes:
    """The file. ``pictures`` in their order, the first one a key; a cluster and a cue for each key."""
    clusters = [_cluster(group) for group in _groups(pictures)]
    head = _info(pictures[-1].at_ms + track.picture_ms) + _tracks(track)
    keys = [picture.at_ms for picture in pictures if picture.is_key]
    # In front, so that a player can seek when it has read the beginning; they are as long wherever they point.
    begin = len(head) + len(_cues(keys, [0] * len(keys)))
    places = [begin + sum(map(len, clusters[:number])) for number in range(len(clusters))]
    segment = head + _cues(keys, places) + b"".join(clusters)
    return _element(_EBML, _header()) + _element(_SEGMENT, segment)


def _groups(pictures: Iterable[Picture]) -> list[list[Picture]]:
    groups: list[list[Picture]] = []
    for picture in pictures:
        if picture.is_key:
            groups.append([])
        groups[-1].append(picture)
        if picture.at_ms - groups[-1][0].at_ms > _CLUSTER_MOST_MS:
            raise ValueError(f"no key among the pictures of {_CLUSTER_MOST_MS} ms before {picture.at_ms} ms")
    return groups


def _header() -> bytes:
    return b"".join(
        (
            _number(0x4286, 1),  # EBMLVersion
            _number(0x42F7, 1),  # EBMLReadVersion
            _number(0x42F2, 4),  # EBMLMaxIDLength
            _number(0x42F3, 8),  # EBMLMaxSizeLength
            _element(0x4282, b"webm"),  # DocType
            _number(0x4287, 4),  # DocTypeVersion
            _number(0x4285, 2),  # DocTypeReadVersion
        )
    )


def _info(duration_ms: int) -> bytes:
    return _element(
        _INFO,
        _number(0x2AD7B1, 1_000_000)  # TimestampScale: times are ms
        + _element(0x4489, struct.pack(">d", duration_ms))
        + _element(0x4D80, b"livecomments")  # MuxingApp
        + _element(0x5741, b"livecomments"),  # WritingApp
    )


def _tracks(track: Track) -> bytes:
    size = _number(0xB0, track.width) + _number(0xBA, track.height)
    entry = b"".join(
        (
            _number(0xD7, 1),  # TrackNumber
            _number(0x73C5, 1),  # TrackUID
            _number(0x83, 1),  # TrackType: video
            _number(0x9C, 0),  # FlagLacing
            _number(0x23E383, track.picture_ms * 1_000_000),  # DefaultDuration, ns
            _element(0x86, track.codec.encode()),
            _element(0xE0, size),
        )
    )
    return _element(_TRACKS, _element(0xAE, entry))


def _cues(times: Sequence[int], places: Sequence[int]) -> bytes:
    """``places``: where the clusters begin, bytes from the segment's first."""
    points = []
    for at_ms, place in zip(times, places, strict=True):
        position = _number(0xF7, 1) + _element(0xF1, struct.pack(">Q", place))  # CueTrack, CueClusterPosition
        points.append(_element(0xBB, _number(0xB3, at_ms) + _element(0xB7, position)))
    return _element(_CUES, b"".join(points))


def _cluster(pictures: Sequence[Picture]) -> bytes:
    begin = pictures[0].at_ms
    blocks = [
        _element(0xA3, b"\x81" + struct.pack(">hB", each.at_ms - begin, 0x80 * each.is_key) + each.data)
        for each in pictures
    ]
    return _element(_CLUSTER, _number(0xE7, begin) + b"".join(blocks))


def _element(name: int, content: bytes) -> bytes:
    return _bytes(name) + _size(len(content)) + content


def _number(name: int, value: int) -> bytes:
    return _element(name, _bytes(value))


def _bytes(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _size(value: int) -> bytes:
    """A length as EBML writes it (RFC 8794, 4): its first bit that is set says by its place how long it is."""
    count = 1
    while value >= (1 << 7 * count) - 1:
        count += 1
    return (value | 1 << 7 * count).to_bytes(count, "big")

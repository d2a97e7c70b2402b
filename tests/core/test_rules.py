"""What is a good comment."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rules import CommentRules, check_author, check_notice, check_slow_mode, check_title
from livecomments.errors import Reason, Refusal
from livecomments.stream_ids import check_stream_id
from livecomments.v1.comment_service_pb2 import PostCommentRequest

RULES = CommentRules(text_max=500, meta_max=1024)


def check(post: PostCommentRequest) -> str:
    return RULES.check(post.text, post.lag_ms, post.request_id, post.meta_json)


any_text = st.text(st.characters(exclude_categories=("Cs",)))


def fields_of(refusal: Refusal) -> set[str]:
    assert refusal.reason is Reason.INVALID_FIELD
    return {error.field for error in refusal.fields}


@given(any_text)
def test_a_text_is_stored_in_nfc_and_trimmed_or_its_field_is_named(text: str) -> None:
    try:
        stored = check(PostCommentRequest(text=text))
    except Refusal as refusal:
        named = fields_of(refusal)
        assert named == {"text"}
        return
    assert stored == unicodedata.normalize("NFC", text).strip()
    assert 1 <= len(stored) <= 500
    assert all(unicodedata.category(character) != "Cc" or character == "\n" for character in stored)
    assert check(PostCommentRequest(text=stored)) == stored


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=120))
def test_a_text_without_control_characters_is_taken(text: str) -> None:
    check(PostCommentRequest(text=text))


@pytest.mark.parametrize("text", ["", "   ", "\n\t ", "x" * 501, "a\x00b", "a\tb", "a\rb", "a\x7fb", "a\x85b"])
def test_a_bad_text_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        check(PostCommentRequest(text=text))
    assert fields_of(caught.value) == {"text"}


def test_length_is_counted_in_code_points_after_composing() -> None:
    decomposed = "e\N{COMBINING ACUTE ACCENT}" * 500
    assert check(PostCommentRequest(text=decomposed)) == "é" * 500
    assert len(check(PostCommentRequest(text="🎉" * 500))) == 500


def test_every_bad_field_is_named_at_once() -> None:
    request = PostCommentRequest(text="", lag_ms=60_001, request_id="a\nb", meta_json="[]")
    with pytest.raises(Refusal) as caught:
        check(request)
    assert fields_of(caught.value) == {"text", "lag_ms", "request_id", "meta_json"}


@pytest.mark.parametrize("lag_ms", [-1, 60_001])
def test_a_lag_out_of_range_is_refused(lag_ms: int) -> None:
    with pytest.raises(Refusal) as caught:
        check(PostCommentRequest(text="x", lag_ms=lag_ms))
    assert fields_of(caught.value) == {"lag_ms"}


@pytest.mark.parametrize("lag_ms", [0, 60_000])
def test_a_lag_in_range_is_taken(lag_ms: int) -> None:
    check(PostCommentRequest(text="x", lag_ms=lag_ms))


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",))),
        st.integers() | st.text(st.characters(exclude_categories=("Cs",))),
    )
)
def test_a_json_object_is_taken_up_to_its_size(meta: dict[str, object]) -> None:
    encoded = json.dumps(meta, ensure_ascii=False)
    request = PostCommentRequest(text="x", meta_json=encoded)
    if len(encoded.encode()) <= 1024:
        check(request)
    else:
        with pytest.raises(Refusal):
            check(request)


@pytest.mark.parametrize(
    "meta",
    [
        "[]",
        "1",
        "null",
        "{",
        "{'a': 1}",
        '{"a": NaN}',
        "x",
        '{"a":' * 150 + "1" + "}" * 150 + "x",
        '{"a":"' + "é" * 510 + '"}',
    ],
)
def test_what_is_no_small_json_object_is_refused(meta: str) -> None:
    with pytest.raises(Refusal) as caught:
        check(PostCommentRequest(text="x", meta_json=meta))
    assert fields_of(caught.value) == {"meta_json"}


@pytest.mark.parametrize("request_id", ["x" * 129, "a\nb", "\x00", "a\u200bb"])
def test_a_bad_request_id_is_refused(request_id: str) -> None:
    with pytest.raises(Refusal) as caught:
        check(PostCommentRequest(text="x", request_id=request_id))
    assert fields_of(caught.value) == {"request_id"}


@given(st.text())
def test_only_the_alphabet_makes_a_stream_id(stream_id: str) -> None:
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    if 1 <= len(stream_id) <= 64 and set(stream_id) <= alphabet:
        check_stream_id(stream_id)
    else:
        with pytest.raises(Refusal) as caught:
            check_stream_id(stream_id)
        assert fields_of(caught.value) == {"stream_id"}


@pytest.mark.parametrize("stream_id", ["a.b", "*", ">", "a b", "demo\n", "ä", ""])
def test_nothing_with_a_meaning_in_subjects_is_a_stream_id(stream_id: str) -> None:
    with pytest.raises(Refusal):
        check_stream_id(stream_id)


def test_titles_authors_slow_mode_and_notice_have_their_bounds() -> None:
    assert check_title("  Finál\N{COMBINING ACUTE ACCENT}e ") == unicodedata.normalize(
        "NFC", "Finál\N{COMBINING ACUTE ACCENT}e"
    )
    bad = [
        (check_title, ("",), "title"),
        (check_title, ("x" * 201,), "title"),
        (check_title, ("a\nb",), "title"),
        (check_slow_mode, (-1,), "slow_mode_s"),
        (check_slow_mode, (3601,), "slow_mode_s"),
        (check_notice, (3601,), "notice_s"),
        (check_notice, (-1,), "notice_s"),
        (check_author, ("", "name"), "author_id"),
        (check_author, ("x" * 129, "name"), "author_id"),
        (check_author, ("x", "n" * 101), "author_name"),
    ]
    for check, arguments, field in bad:
        with pytest.raises(Refusal) as caught:
            check(*arguments)  # type: ignore[operator]
        assert fields_of(caught.value) == {field}

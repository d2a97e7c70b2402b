"""Whose token a request bears: its header's, or a cookie's, if the page may."""

import pytest

from edge.credentials import Asking, Credentials
from edge.headers import Origins, shared_headers
from livecomments.errors import Reason, Refusal

LISTED = Origins(frozenset({"https://site.example", "*"}), with_cookies=True)
COOKIES = Credentials("live", LISTED)
OWN = "https://live.example"


def asking(*, authorization: str | None = None, cookie: str | None = "live=T", origin: str | None = None) -> Asking:
    return Asking(authorization, cookie, origin, "live.example")


def test_the_header_wins_over_the_cookie() -> None:
    both = asking(authorization="Bearer H")
    assert COOKIES.for_reading(both) == COOKIES.for_changing(both) == "Bearer H"
    assert COOKIES.for_changing(asking(authorization="Basic x", origin=OWN)) == "Basic x"


@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        (None, None),
        ("", None),
        ("live=", None),
        ("live=T", "Bearer T"),
        ('a=b; live="T" ;c=d', "Bearer T"),
        ("live=T=", "Bearer T="),
        ("LIVE=T; alive=T; live2=T", None),
        ("live", None),
        (";;=;", None),
    ],
)
def test_one_cookie_carries_the_token(cookie: str | None, found: str | None) -> None:
    assert COOKIES.for_reading(asking(cookie=cookie)) == found
    assert Credentials("", LISTED).for_reading(asking(cookie=cookie)) is None


def test_a_cookie_that_stands_there_twice_may_be_someone_elses() -> None:
    with pytest.raises(Refusal) as refused:
        COOKIES.for_reading(asking(cookie="live=T; live=U"))
    assert refused.value.reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize("origin", [OWN, "http://live.example", "https://site.example"])
def test_a_cookie_changes_what_pages_of_ours_change(origin: str) -> None:
    assert COOKIES.for_changing(asking(origin=origin)) == "Bearer T"


@pytest.mark.parametrize(
    "origin",
    [None, "null", "*", "", "https://evil.example", "https://live.example.evil.example", "https://site.example.evil"],
)
def test_a_cookie_changes_nothing_for_a_page_that_is_not_named(origin: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        COOKIES.for_changing(asking(origin=origin))
    assert refused.value.reason is Reason.FORBIDDEN
    assert COOKIES.for_reading(asking(origin=origin)) == "Bearer T", "CORS keeps it from the page"
    assert COOKIES.for_changing(asking(cookie=None, origin=origin)) is None, "it does so without one"


def test_browsers_may_show_answers_to_cookies_to_origins_that_are_listed_by_name() -> None:
    def is_shared(origin: str, origins: Origins) -> bool:
        return ("Access-Control-Allow-Credentials", "true") in shared_headers(origin, origins)

    assert is_shared("https://site.example", LISTED)
    assert not is_shared("https://evil.example", LISTED)
    assert not is_shared("*", Origins(frozenset(), with_cookies=True))
    assert not is_shared("https://site.example", Origins(frozenset({"https://site.example"}), with_cookies=False))

"""Where a request comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.addresses import Proxies, network_of
from edge.limits import AddressLimit
from livecomments.errors import Refusal


def viewer(said: str | None, hops: int = 1, header: str = "x-forwarded-for") -> str:
    return Proxies(hops, header).viewer(said)


@given(st.text())
def test_without_proxies_nothing_that_is_said_counts(said: str) -> None:
    assert viewer(said, 0) == viewer(said, 0, "forwarded") == ""


def test_as_many_entries_are_trusted_as_there_are_proxies_from_the_right() -> None:
    assert viewer("6.6.6.6, 1.1.1.1") == "1.1.1.1"
    assert viewer("6.6.6.6, 1.1.1.1, 2.2.2.2", 2) == "1.1.1.1"
    assert viewer("6.6.6.6,1.1.1.1,2.2.2.2", 2) == "1.1.1.1"
    # It came past some of them; the last wrote what it saw.
    assert viewer("1.1.1.1", 3) == "1.1.1.1"


@given(st.text())
def test_whatever_a_client_writes_the_proxys_entry_counts(written: str) -> None:
    assert viewer(f"{written}, 1.1.1.1") == "1.1.1.1"
    assert viewer(f"{written}, for=1.1.1.1;proto=https", header="forwarded") == "1.1.1.1"
    assert viewer(f"{written}, for=1.1.1.1, for=2.2.2.2", 2, "forwarded") == "1.1.1.1"


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("1.1.1.1", "1.1.1.1"),
        ("1.1.1.1:4711", "1.1.1.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("unknown", ""),
        ("_hidden", ""),
        ("", ""),
        ("[", ""),
        ("1.1.1", ""),
    ],
)
def test_an_entry_is_an_address_with_or_without_a_port_or_says_nothing(entry: str, address: str) -> None:
    assert viewer(entry) == address
    for element in (f'for="{entry}"', f'proto=https; For="{entry}" ;by=9.9.9.9'):
        assert viewer(element, header="forwarded") == address


@pytest.mark.parametrize("element", ["", "by=9.9.9.9", "proto=https", "xfor=1.1.1.1", 'for="1.1.1.1', "for"])
def test_an_element_of_forwarded_that_names_nobody_says_nothing(element: str) -> None:
    assert viewer(element, header="forwarded") == ""


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("1.1.1.1", "1.1.1.1"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a.socket", "a.socket"),
    ],
)
def test_of_ipv6_the_first_half_counts(address: str, network: str) -> None:
    assert network_of(address) == network


def test_one_who_changes_its_ipv6_address_is_limited_all_the_same() -> None:
    limit = AddressLimit(rate=0.1, burst=2)
    limit.admit("2001:db8::1", now=0)
    limit.admit("2001:db8::2", now=0)
    with pytest.raises(Refusal):
        limit.admit("2001:db8::3", now=0)
    limit.admit("2001:db8:0:1::3", now=0)

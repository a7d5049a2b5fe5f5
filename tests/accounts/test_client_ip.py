"""The client's address: the socket's, or what our own outermost proxy wrote, and nothing that a client wrote."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from django.test import RequestFactory, override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from accounts.client_ip import client_ip, client_network, normalize

ADDRESSES = st.ip_addresses().map(str)
JUNK = st.text(st.characters(blacklist_characters=",", blacklist_categories=["Cs"]), max_size=30)


def answer(proxies: int, remote: str, forwarded: str | None = None) -> str | None:
    extra = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    with override_settings(PITHEAD_TRUSTED_PROXIES=proxies):
        return client_ip(RequestFactory().get("/", REMOTE_ADDR=remote, **extra))


@given(remote=ADDRESSES, forwarded=st.lists(st.one_of(ADDRESSES, JUNK), max_size=5))
def test_without_proxies_only_the_socket_is_believed(remote, forwarded):
    assert answer(0, remote, ", ".join(forwarded)) == normalize(remote)


@given(
    proxies=st.sampled_from([1, 2, 3]),
    client=ADDRESSES,
    inner=st.lists(ADDRESSES, min_size=2, max_size=2),
    spoofed=st.lists(st.one_of(ADDRESSES, JUNK), max_size=5),
    comma=st.sampled_from([",", ", ", " , "]),
)
def test_the_entry_of_our_outermost_proxy_is_believed_whatever_stands_left_of_it(
    proxies, client, inner, spoofed, comma
):
    forwarded = comma.join([*spoofed, client, *inner[: proxies - 1]])
    assert answer(proxies, "10.0.0.9", forwarded) == normalize(client)


@given(proxies=st.sampled_from([1, 2]), forwarded=st.text(max_size=60), remote=st.one_of(ADDRESSES, JUNK))
@example(proxies=1, forwarded=",", remote="")
@example(proxies=2, forwarded=", ,", remote="unix:")
def test_odd_headers_give_an_address_or_none_and_never_an_error(proxies, forwarded, remote):
    found = answer(proxies, remote, forwarded)
    assert found is None or str(ip_address(found)) == found


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (1, None, "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        (2, "203.0.113.5", "10.0.0.9"),
        (2, "203.0.113.5, 10.0.0.1", "203.0.113.5"),
        (2, "198.51.100.1, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        (1, "198.51.100.1, unknown", "10.0.0.9"),
        (1, "198.51.100.1, ", "198.51.100.1"),
        (1, "::ffff:203.0.113.5", "203.0.113.5"),
        (1, "203.0.113.5:51820", "203.0.113.5"),
        (2, "203.0.113.5:51820, 10.0.0.1:443", "203.0.113.5"),
        (1, "[2001:db8::5]:51820", "2001:db8::5"),
        (1, "[2001:DB8::5]", "2001:db8::5"),
        (1, "[::ffff:203.0.113.5]:51820", "203.0.113.5"),
        (1, "203.0.113.5:port", "10.0.0.9"),
        (1, "[203.0.113.5:51820", "10.0.0.9"),
        (0, "203.0.113.5", "10.0.0.9"),
        (-1, "203.0.113.5", "10.0.0.9"),
    ],
)
def test_proxies_are_counted_from_the_right(proxies, forwarded, expected):
    assert answer(proxies, "10.0.0.9", forwarded) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.5", "203.0.113.5"),
        (" 203.0.113.5 ", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::FFFF:CB00:7105", "203.0.113.5"),
        ("::ffff:203.0.113.5%eth0", "203.0.113.5"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%", None),
        ("203.0.113.5:443", None),
        ("[2001:db8::1]", None),
        ("203.0.113.05", None),
        ("", None),
        ("unix:", None),
        ("\ud800", None),
        ("\0", None),
    ],
)
def test_one_address_has_one_form(text, expected):
    assert normalize(text) == expected


@given(text=st.text())
def test_normalizing_twice_changes_nothing(text):
    once = normalize(text)
    assert once is None or normalize(once) == once


@given(number=st.integers(0, 2**32 - 1))
def test_a_mapped_address_is_the_ipv4_one(number):
    plain = str(ip_address(number))
    assert normalize(f"::ffff:{plain}") == plain


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("", None),
    ],
)
def test_attempts_are_counted_for_a_whole_network_of_ipv6(remote, network):
    assert client_network(RequestFactory().get("/", REMOTE_ADDR=remote)) == network

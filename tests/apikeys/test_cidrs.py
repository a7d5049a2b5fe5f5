"""The address list of a key: one form for each network, and errors that name the line."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikeys.rules import MAX_CIDRS, Refused, normalize_cidrs


@pytest.mark.parametrize(
    ("given_lines", "kept"),
    [
        ([], []),
        (["203.0.113.0/24"], ["203.0.113.0/24"]),
        ([" 203.0.113.5 "], ["203.0.113.5/32"]),
        (["2001:DB8:0::/32"], ["2001:db8::/32"]),
        (["2001:db8::1"], ["2001:db8::1/128"]),
        (["203.0.113.0/255.255.255.0"], ["203.0.113.0/24"]),
        (["203.0.113.5", "203.0.113.5/32", "::ffff:203.0.113.5"], ["203.0.113.5/32"]),
        (["::ffff:203.0.113.0/120"], ["203.0.113.0/24"]),
        (["::ffff:0:0/96"], ["0.0.0.0/0"]),
        (["0.0.0.0/0", "::/0"], ["0.0.0.0/0", "::/0"]),
    ],
)
def test_networks_are_kept_in_one_form_and_once(given_lines, kept):
    assert normalize_cidrs(given_lines) == kept
    assert normalize_cidrs(kept) == kept


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("203.0.113.5/24", "host bits"),
        ("2001:db8::1/32", "host bits"),
        ("203.0.113", "no IPv4 or IPv6 network"),
        ("203.0.113.0/33", "no IPv4 or IPv6 network"),
        ("203.0.113.0-203.0.113.9", "no IPv4 or IPv6 network"),
        ("example.com", "no IPv4 or IPv6 network"),
        ("", "no IPv4 or IPv6 network"),
        ("10", "no IPv4 or IPv6 network"),
        ("\0", "no IPv4 or IPv6 network"),
        ("\ud800", "no IPv4 or IPv6 network"),
        ("1" * 100_000, "no IPv4 or IPv6 network"),
        ("fe80::1%eth0", "no IPv4 or IPv6 network"),
        ("fe80::1%<b>/128", "no IPv4 or IPv6 network"),
    ],
)
def test_an_error_names_the_line_and_what_is_wrong_with_it(line, reason):
    with pytest.raises(Refused, match=reason) as refused:
        normalize_cidrs(["198.51.100.0/24", "2001:db8::/32", line, "also wrong"])
    assert str(refused.value).startswith("Line 3, “")
    assert refused.value.field == "allowed_cidrs"
    assert len(str(refused.value)) < 250


def test_a_list_has_an_end():
    lines = [f"10.0.{number}.0/24" for number in range(MAX_CIDRS + 1)]
    assert len(normalize_cidrs(lines[:-1])) == MAX_CIDRS
    with pytest.raises(Refused, match=f"At most {MAX_CIDRS}"):
        normalize_cidrs(lines)


@given(line=st.text())
def test_odd_lines_are_networks_or_refused_and_nothing_worse(line):
    try:
        kept = normalize_cidrs([line])
    except Refused:
        return
    assert ip_network(kept[0])


@given(number=st.integers(0, 2**32 - 1), length=st.integers(0, 32))
def test_a_mapped_network_holds_the_same_addresses_as_its_ipv4_form(number, length):
    plain = ip_network((number, length), strict=False)
    mapped = f"::ffff:{plain.network_address}/{96 + length}"
    assert normalize_cidrs([mapped]) == [str(plain)]
    assert ip_address(number) in ip_network(normalize_cidrs([mapped])[0])

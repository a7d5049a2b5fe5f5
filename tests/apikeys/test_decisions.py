"""decide() against a second opinion: a table of its own, from DESIGN's "One request", over all facts."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.access_levels import PERMISSIONS
from apikeys import decisions, problems
from apikeys.decisions import RequestFacts, decide

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ENVIRONMENTS = ["production", "staging", "development"]


@dataclass(frozen=True)
class Facts:
    """A grant as decide() needs it: by default one that may do everything."""

    environment: str = "production"
    permissions: frozenset[str] = frozenset(PERMISSIONS)
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    rate_limit: int | None = None
    rate_burst: int | None = None
    expires_at: datetime | None = None
    secret_retires_at: datetime | None = None
    signing_key_retired_at: datetime | None = None
    disabled_at: datetime | None = None
    revoked_at: datetime | None = None
    picked_only: bool = False
    account_suspended_at: datetime | None = None


OPEN = Facts()
REQUEST = RequestFacts(environment="production", address="203.0.113.5", now=NOW, permission="stats:read", in_reach=True)


@dataclass(frozen=True)
class Address:
    """An address as written, and its bytes, the IPv4 in a mapped one; None where it is none."""

    text: str | None
    packed: bytes | None


def v4(number: int) -> Address:
    packed = number.to_bytes(4, "big")
    return Address(socket.inet_ntop(socket.AF_INET, packed), packed)


def mapped(number: int) -> Address:
    return Address(f"::ffff:{v4(number).text}", v4(number).packed)


def mapped_in_hex(number: int) -> Address:
    return Address(f"0:0:0:0:0:FFFF:{number >> 16:x}:{number & 0xFFFF:x}", v4(number).packed)


def v6(number: int) -> Address:
    packed = number.to_bytes(16, "big")
    inner = packed[12:] if packed[:12] == bytes(10) + b"\xff\xff" else packed
    return Address(socket.inet_ntop(socket.AF_INET6, packed), inner)


def inside(packed: bytes, network: IPv4Network | IPv6Network) -> bool:
    """By bits, without the ipaddress module."""
    base = network.network_address.packed
    if len(base) != len(packed):
        return False
    shift = 8 * len(base) - network.prefixlen
    return int.from_bytes(packed, "big") >> shift == int.from_bytes(base, "big") >> shift


NUMBERS4 = st.one_of(st.integers(0, 2**32 - 1), st.integers(0xCB007100, 0xCB0071FF))  # 203.0.113.0/24
NUMBERS6 = st.one_of(st.integers(0, 2**128 - 1), st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 9))
ADDRESSES = st.one_of(
    NUMBERS4.map(v4),
    NUMBERS4.map(mapped),
    NUMBERS4.map(mapped_in_hex),
    NUMBERS6.map(v6),
    st.text().map(lambda text: Address("?" + text, None)),
    st.sampled_from(
        ["", "1.2.3", "1.2.3.4.5", "1.2.3.4/32", "01.2.3.4", "١.2.3.4", "[::1]", "::1\0", "unix:", "\ud800"]
    ).map(lambda text: Address(text, None)),
    st.just(Address(None, None)),
)
NETWORKS = st.one_of(
    st.tuples(NUMBERS4, st.integers(0, 32)).map(lambda pair: IPv4Network(pair, strict=False)),
    st.tuples(NUMBERS6, st.integers(0, 128)).map(lambda pair: IPv6Network(pair, strict=False)),
)
#: Around now to the microsecond, and anywhere in any time zone.
TIMES = st.one_of(
    st.sampled_from([-1, 0, 1]).map(lambda microseconds: NOW + timedelta(microseconds=microseconds)),
    st.datetimes(timezones=st.timezones()),
)
MAYBE = st.one_of(st.none(), TIMES)
SOME_PERMISSION = st.one_of(st.none(), st.sampled_from(sorted(PERMISSIONS)), st.text(), st.just("stats:READ"))
GRANTS = st.builds(
    Facts,
    environment=st.sampled_from(ENVIRONMENTS),
    permissions=st.frozensets(st.one_of(st.sampled_from(sorted(PERMISSIONS)), st.text())),
    allowed_networks=st.lists(NETWORKS, max_size=4).map(tuple),
    expires_at=MAYBE,
    secret_retires_at=MAYBE,
    signing_key_retired_at=MAYBE,
    disabled_at=MAYBE,
    revoked_at=MAYBE,
    account_suspended_at=MAYBE,
)

#: The rules in their order: rule, code, when it denies.
REFERENCE = [
    ("account_active", "account_suspended", lambda g, f, a: g.account_suspended_at is not None),
    ("key_not_revoked", "key_revoked", lambda g, f, a: g.revoked_at is not None),
    (
        "secret_not_retired",
        "key_revoked",
        lambda g, f, a: (
            g.signing_key_retired_at is not None or not (g.secret_retires_at is None or f.now < g.secret_retires_at)
        ),
    ),
    ("key_not_expired", "key_expired", lambda g, f, a: not (g.expires_at is None or f.now < g.expires_at)),
    ("key_enabled", "key_disabled", lambda g, f, a: g.disabled_at is not None),
    ("environment_fits", "wrong_environment", lambda g, f, a: g.environment != f.environment),
    (
        "address_allowed",
        "address_not_allowed",
        lambda g, f, a: (
            g.allowed_networks != ()
            and not (a.packed is not None and any(inside(a.packed, network) for network in g.allowed_networks))
        ),
    ),
    ("rate_within_limit", "rate_limited", lambda g, f, a: f.retry_after is not None),
    (
        "permission_granted",
        "permission_denied",
        lambda g, f, a: f.permission not in (g.permissions & set(PERMISSIONS)),
    ),
    ("entity_in_reach", "not_found", lambda g, f, a: f.in_reach is False),
]


@given(
    grant=GRANTS,
    address=ADDRESSES,
    environment=st.one_of(st.sampled_from(ENVIRONMENTS), st.text()),
    now=st.one_of(st.just(NOW), TIMES),
    permission=SOME_PERMISSION,
    in_reach=st.sampled_from([None, True, False]),
    retry_after=st.sampled_from([None, None, 1, 60]),
)
def test_the_first_rule_that_denies_is_the_one_named(
    grant, address, environment, now, permission, in_reach, retry_after
):
    facts = RequestFacts(environment, address.text, now, permission, in_reach, retry_after)
    decision = decide(grant, facts)
    expected = next(((rule, code) for rule, code, denies in REFERENCE if denies(grant, facts, address)), None)
    if expected is None:
        assert decision.allowed
        assert decision.denial is None
        assert decision.rule is None
    else:
        assert not decision.allowed
        assert (decision.rule, decision.denial.code) == expected
        assert decision.denial.code in problems.CODES
        assert decision.denial.detail


@given(address=ADDRESSES, networks=st.lists(NETWORKS, min_size=1, max_size=4).map(tuple))
def test_an_address_list_admits_exactly_what_lies_in_it(address, networks):
    decision = decide(replace(OPEN, allowed_networks=networks), replace(REQUEST, address=address.text))
    assert decision.allowed == (address.packed is not None and any(inside(address.packed, n) for n in networks))


def test_the_reference_lists_every_rule_in_order():
    assert [rule.__name__ for rule in decisions.RULES] == [rule for rule, _, _ in REFERENCE]
    assert decisions.RULES == decisions.STANDING_RULES + decisions.RATE_RULES + decisions.ACCESS_RULES


def test_a_key_in_good_standing_with_the_permission_is_allowed():
    assert decide(OPEN, REQUEST).allowed
    assert decide(OPEN, replace(REQUEST, in_reach=None)).allowed


@pytest.mark.parametrize("permission", [None, "", "stats", "stats:write", "STATS:READ", " stats:read", "*", "*:*"])
def test_what_is_no_permission_is_denied_even_to_who_holds_it(permission):
    grant = replace(OPEN, permissions=frozenset([*PERMISSIONS, permission]))
    decision = decide(grant, replace(REQUEST, permission=permission))
    assert decision.denial.code == "permission_denied"


@pytest.mark.parametrize("permission", sorted(PERMISSIONS))
def test_a_permission_that_the_key_lacks_is_denied_by_name(permission):
    grant = replace(OPEN, permissions=frozenset(PERMISSIONS) - {permission})
    decision = decide(grant, replace(REQUEST, permission=permission))
    assert decision.denial.code == "permission_denied"
    assert permission in decision.denial.detail


@pytest.mark.parametrize(("field", "code"), [("expires_at", "key_expired"), ("secret_retires_at", "key_revoked")])
def test_the_moment_of_the_end_is_over(field, code):
    tick = timedelta(microseconds=1)
    assert decide(replace(OPEN, **{field: NOW + tick}), REQUEST).allowed
    assert decide(replace(OPEN, **{field: NOW}), REQUEST).denial.code == code
    assert decide(replace(OPEN, **{field: NOW - tick}), REQUEST).denial.code == code


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["203.0.113.0/24"], "::ffff:203.0.113.5", True),
        (["203.0.113.0/24"], "::FFFF:CB00:7105", True),
        (["203.0.113.0/24"], "::ffff:203.0.114.5", False),
        (["::/0"], "203.0.113.5", False),
        (["::/0"], "::ffff:203.0.113.5", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["0.0.0.0/0"], "::ffff:203.0.113.5", True),
        (["0.0.0.0/0", "::/0"], "2001:db8::1", True),
        (["2001:db8::/64"], "2001:db8::ffff", True),
        (["2001:db8::/64"], "2001:db8:0:1::", False),
        (["::/80"], "::5", True),
        (["::/80"], "203.0.113.5", False),
        (["::/80"], "::ffff:203.0.113.5", False),
        (["203.0.113.0/24"], "::203.0.113.5", False),
        (["203.0.113.0/24"], "64:ff9b::203.0.113.5", False),
        (["203.0.113.0/24"], "2002:cb00:7105::1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["203.0.113.5/32"], "203.0.113.5", True),
        (["203.0.113.5/32"], None, False),
        (["0.0.0.0/0", "::/0"], "", False),
        ([], None, True),
    ],
)
def test_addresses_and_networks(networks, address, allowed):
    grant = replace(OPEN, allowed_networks=tuple(ip_network(network) for network in networks))
    assert decide(grant, replace(REQUEST, address=address)).allowed == allowed


def test_a_rate_that_is_used_up_is_named_with_its_burst():
    wait = replace(REQUEST, retry_after=1)
    denial = decide(replace(OPEN, rate_limit=300, rate_burst=20), wait).denial
    assert denial.detail == (
        "This key may make 300 requests a minute, 20 of them at once. Wait 1 second before the next one."
    )
    denial = decide(replace(OPEN, rate_limit=1, rate_burst=1), replace(wait, retry_after=60)).denial
    assert denial.detail == "This key may make 1 request a minute. Wait 60 seconds before the next one."


def test_a_wrong_environment_names_the_right_endpoint():
    denial = decide(replace(OPEN, environment="staging"), REQUEST).denial
    assert denial.code == "wrong_environment"
    assert "staging endpoint" in denial.detail


def test_no_rules_is_no_way_to_be_denied_and_rules_are_judged_in_the_order_given():
    closed = replace(OPEN, revoked_at=NOW, disabled_at=NOW)
    assert decide(closed, REQUEST, (decisions.key_enabled, decisions.key_not_revoked)).rule == "key_enabled"
    assert decide(closed, REQUEST, (decisions.key_not_revoked, decisions.key_enabled)).rule == "key_not_revoked"

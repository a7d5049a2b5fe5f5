"""Registering and issuing support keys: what is taken, what is stored, and whom it concerns."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.audit import StepUpMissing
from accounts.changes import Refused
from accounts.models import Account, AuditEvent
from apikeys import key_format, lifecycle, registered, signing, support_keys
from apikeys.edits import Changes
from apikeys.models import ApiKey, ApiKeySecret, SupportKey
from apikeys.scopes import InvalidScope, Scope
from tests.conftest import COMMAND
from tests.factories import AccountFactory, HubClientFactory, HubFactory, MinerFactory
from tests.people import actor_for

OLD = "nf-7Kd93jsLq02x-Export"


@pytest.fixture
def miner(account):
    return MinerFactory(account=account)


@pytest.fixture
def issue(account):
    def issue(entities, **fields):
        fields = {"name": "For the old ERP", "environment": "production", "access_level": "accountant", **fields}
        return support_keys.issue(fields.pop("account", account), **{"actor": COMMAND, **fields}, entities=entities)

    return issue


def test_an_old_key_is_registered_on_hand_picked_entities(register_key, account, miner, api):
    hub = HubFactory(account=account)
    key = register_key(OLD, [miner, hub], access_level="accountant", allowed_cidrs=["127.0.0.1"])
    assert isinstance(SupportKey.objects.get(), SupportKey)
    assert (key.support, key.status, key.access_level, key.role) == (True, "active", "accountant", None)
    assert {str(row) for row in key.scopes.all()} == {f"*:miners/{miner.pk}", f"*:hubs/{hub.pk}"}
    answer = api(OLD).get("/api/v1/key")
    assert (answer.status_code, answer.json()["id"]) == (200, key.key_id)


def test_of_an_old_key_argon2_and_four_characters_are_stored(register_key, miner):
    secret = register_key(OLD, [miner]).secrets.get()
    assert secret.is_registered
    assert secret.argon2.startswith("argon2$argon2id$")
    assert (len(secret.lookup), secret.hint, bytes(secret.digest)) == (registered.LOOKUP_BYTES, "nf-7", b"")
    assert secret.key.masked == str(secret) == "nf-7••••"
    for field in ApiKeySecret._meta.concrete_fields:
        assert OLD[4:10] not in str(getattr(secret, field.attname))


def test_nobody_gets_in_by_the_selector_of_an_old_key(register_key, miner, api):
    """Its digest is empty, and no string has that one."""
    secret = register_key(OLD, [miner]).secrets.get()
    body = f"ph_live_{secret.selector}{'A' * key_format.SECRET_LENGTH}"
    text = body + key_format.checksum(body)
    assert signing.matches(secret.signing_key.wrapped, text, secret.digest) is False
    assert api(text).get("/api/v1/key").json()["code"] == "invalid_key"


def test_a_support_key_in_our_own_format_is_issued_and_returned_once(issue, miner, api):
    key, secret = issue([miner])
    assert key_format.parse(secret, prefix="ph").selector == key.secrets.get().selector
    assert (key.support, key.secrets.get().is_registered) == (True, False)
    assert api(secret).get("/api/v1/key").json()["id"] == key.key_id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 15, "15 characters"),
        ("", "0 characters"),
        ("0123456789abcdef" * 33, "528 characters"),
        ("schlüssel-0123456789", "printable ASCII"),
        ("0123456789\tabcdefgh", "printable ASCII"),
        ("0123456789\0abcdefgh", "printable ASCII"),
        (f" {OLD}", "blank"),
        (f"{OLD} ", "blank"),
        ("ph_0123456789abcdef", "key of this service"),
        pytest.param(key_format.generate("staging", prefix="ph").text, "key of this service", id="ours"),
        pytest.param(
            f"x{key_format.generate('production', prefix='ph').text}", "key of this service", id="ours after a letter"
        ),
        ("aaaaaaaaaaaaaaaaaaaa", "guess"),
        ("abababababababababab", "guess"),
    ],
)
def test_what_can_t_be_a_key_is_refused_with_the_reason(register_key, miner, text, said):
    with pytest.raises(Refused, match=said) as refused:
        register_key(text, [miner])
    assert refused.value.field == "text"
    assert not text or text not in str(refused.value)
    assert not SupportKey.objects.exists()


@pytest.mark.parametrize(
    "text",
    ["0123456789abcdef", "key with blanks inside", "acme_live_" + "aB3" * 20, "~!@#$%^&*()_+{}|:\"<>?`-=[]\\;',./"],
)
def test_any_other_printable_string_of_sixteen_characters_is_taken(register_key, miner, api, text):
    register_key(text, [miner])
    assert api(text).get("/api/v1/key").status_code == 200
    assert support_keys.find_registered(text).name == "Old script"


def test_a_string_is_registered_once_even_after_its_key_was_revoked(register_key, miner, other_account):
    key = register_key(OLD, [miner])
    lifecycle.revoke(key, actor=COMMAND, reason="unneeded")
    with pytest.raises(Refused, match=f"{key.key_id} of Northfold Mining"):
        register_key(OLD, [MinerFactory(account=other_account)], account=other_account)
    assert support_keys.find_registered(OLD) == ApiKey.every.get(pk=key.pk)


def test_many_old_keys_may_begin_alike(register_key, miner, api):
    """Support's old keys came with a prefix of their own: what is looked up is of the whole string."""
    keys = {f"pool_key_{number:08}": register_key(f"pool_key_{number:08}", [miner]) for number in range(8)}
    for text, key in keys.items():
        assert api(text).get("/api/v1/key").json()["id"] == key.key_id


def test_whom_a_string_belongs_to_is_found_for_staff(register_key, miner, issue_key):
    key = register_key(OLD, [miner])
    assert support_keys.find_registered(OLD) == ApiKey.every.get(pk=key.pk)
    for other in (OLD + "x", OLD.lower(), "short", "schlüssel-0123456789", issue_key()[1], ""):
        assert support_keys.find_registered(other) is None


# What it may reach


@pytest.mark.parametrize("entities", [[], ["theirs"], ["elsewhere"]])
def test_only_picked_entities_of_the_account_and_environment_are_taken(register_key, account, other_account, entities):
    made = {
        "theirs": MinerFactory(account=other_account),
        "elsewhere": MinerFactory(account=account, environment="staging"),
    }
    with pytest.raises(InvalidScope):
        register_key(OLD, [made[name] for name in entities])
    assert not SupportKey.objects.exists()


def test_a_client_of_a_hub_may_be_picked(register_key, account, other_account):
    client = HubClientFactory(hub=HubFactory(account=account), miner=MinerFactory(account=other_account)).miner
    assert register_key(OLD, [client]).scopes.get().entity == client


@pytest.mark.parametrize("level", ["custom", "owner", ""])
def test_only_the_four_access_levels_are_taken(register_key, miner, level):
    with pytest.raises(Refused) as refused:
        register_key(OLD, [miner], access_level=level)
    assert refused.value.field == "access_level"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"environment": "nowhere"}, "environment"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
        ({"allowed_cidrs": ["10.0.0.1/8"]}, "allowed_cidrs"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(register_key, issue, miner, fields, field):
    for make in (lambda: register_key(OLD, [miner], **fields), lambda: issue([miner], **fields)):
        with pytest.raises(Refused) as refused:
            make()
        assert refused.value.field == field
    assert not SupportKey.objects.exists()


def test_an_edit_never_makes_one_grow(register_key, miner, account, make_role):
    Account.objects.update(keys_editable=True)
    key = register_key(OLD, [miner])
    other = MinerFactory(account=account)
    lifecycle.edit(key, Changes(scopes=[Scope.parse(f"*:miners/{other.pk}")]), actor=COMMAND)
    assert key.scopes.get().entity == other
    for text in ("*:*", "*:miners/*", "read:miners/*"):
        with pytest.raises(InvalidScope, match="never grows"):
            lifecycle.edit(key, Changes(scopes=[Scope.parse(text)]), actor=COMMAND)
    with pytest.raises(Refused):
        lifecycle.edit(key, Changes(access_level="custom", role=make_role("stats:read")), actor=COMMAND)
    assert key.scopes.get().entity == other


# Whom it concerns


def test_staff_alone_make_support_keys_each_with_a_code_for_exactly_that(account, owner, staff, miner):
    wanted = {"name": "x", "environment": "production", "access_level": "viewer", "entities": [miner]}
    with pytest.raises(Refused):
        support_keys.issue(account, actor=actor_for(owner, "support_key.issue"), **wanted)
    with pytest.raises(StepUpMissing):
        support_keys.issue(account, actor=actor_for(staff, "key.issue", via="admin"), **wanted)
    with pytest.raises(StepUpMissing):
        support_keys.register(account, actor=actor_for(staff, "support_key.issue", via="admin"), text=OLD, **wanted)
    assert not SupportKey.objects.exists()
    support_keys.register(account, actor=actor_for(staff, "support_key.register", via="admin"), text=OLD, **wanted)
    assert SupportKey.objects.get().created_by == staff


def test_an_account_that_is_not_set_up_gets_none(register_key, issue):
    bare = AccountFactory()
    miner = MinerFactory(account=bare)
    for make in (register_key, lambda text, entities, **fields: issue(entities, **fields)):
        with pytest.raises(signing.NotBootstrapped):
            make(OLD, [miner], account=bare)
    assert not SupportKey.objects.exists()


def test_the_audit_trail_says_who_and_what_and_no_character_of_the_secret(register_key, issue, miner):
    key = register_key(OLD, [miner])
    issued, secret = issue([miner])
    for action, made in [("support_key.registered", key), ("support_key.issued", issued)]:
        event = AuditEvent.objects.get(action=action)
        assert (event.target_id, event.account, event.via) == (made.key_id, made.account, "command")
        assert event.data["scopes"] == [f"*:miners/{miner.pk}"]
        row = str([getattr(event, field.attname) for field in AuditEvent._meta.concrete_fields])
        for part in (OLD[:4], OLD[4:12], secret[8:16], secret[20:36]):
            assert part not in row


def test_no_owner_is_told(owner, register_key, issue, miner, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        key = register_key(OLD, [miner])
        issued, _ = issue([miner])
        for each in (key, issued):
            lifecycle.disable(each, actor=COMMAND)
            lifecycle.enable(each, actor=COMMAND)
            lifecycle.revoke(each, actor=COMMAND, reason="replaced")
    assert mail.outbox == []


def test_support_keys_stand_outside_the_account_s_limits(account, issue_key, register_key, issue, miner):
    Account.objects.update(max_active_keys=1, max_lifetime_days=30)
    key, issued = register_key(OLD, [miner]), issue([miner])[0]
    in_a_month = timezone.now() + timedelta(days=29)
    issue_key(expires_at=in_a_month)
    with pytest.raises(Refused, match="1 active key"):
        issue_key(expires_at=in_a_month)
    for each in (key, issued):
        lifecycle.disable(each, actor=COMMAND)
        assert lifecycle.enable(each, actor=COMMAND).status == "active"
        lifecycle.regenerate(each, actor=COMMAND)


def test_one_form_makes_one_key(register_key, issue, miner):
    key = register_key(OLD, [miner], idempotency_key="form:1")
    with pytest.raises(lifecycle.AlreadyIssued) as already:
        register_key(OLD, [miner], idempotency_key="form:1")
    assert already.value.key.pk == key.pk
    issue([miner], idempotency_key="form:2")
    with pytest.raises(lifecycle.AlreadyIssued):
        issue([miner], idempotency_key="form:2")
    assert SupportKey.objects.count() == 2


def test_replacing_an_old_key_s_secret_stops_the_old_string(register_key, miner, api):
    """The way out for a program that can be changed: a secret of our own format, on the same key."""
    key = register_key(OLD, [miner])
    assert api(OLD).get("/api/v1/key").status_code == 200
    secret = lifecycle.regenerate(key, actor=COMMAND)
    assert api(OLD).get("/api/v1/key").json()["code"] == "key_revoked"
    assert api(secret).get("/api/v1/key").json()["id"] == key.key_id
    with pytest.raises(Refused, match="registered already"):
        register_key(OLD, [miner])

"""The demo's data: complete, consistent to the last decimal, and the same however often it is seeded."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db.models import Count, Max
from django.test import RequestFactory
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import second_factor
from accounts.access_levels import AccessLevel
from accounts.models import Account, AuditEvent, KeyPermission, Membership, User
from apikeys import lifecycle, signing
from apikeys.demo.people import password_of, seeded_people
from apikeys.demo.support_keys import IN_USE, UNUSED, old_string
from apikeys.demo.wallets import address
from apikeys.models import ApiKey, Role, SupportKey
from entities.addresses import check_address
from entities.models import Accrual, Entity, HashrateSample, HubClient, Payout, Wallet, Worker, WorkerGroup
from tests.conftest import COMMAND


@pytest.fixture(autouse=True)
def midday() -> Iterator[None]:
    """Far from where an hour or a day begins, so that two seedings in a row meet in the same one."""
    with time_machine.travel(datetime(2026, 11, 21, 12, 30, tzinfo=UTC)):
        yield


def seed() -> dict:
    out = StringIO()
    call_command("seed_demo", "--json", "--force", stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def seeded(db: None) -> dict:
    return seed()


def test_it_refuses_where_debug_is_off(db):
    with pytest.raises(CommandError, match="--force"):
        call_command("seed_demo")
    assert not User.objects.exists()


def test_it_runs_where_debug_is_on_and_prints_people_and_keys(db, settings):
    settings.DEBUG = True
    out = StringIO()
    call_command("seed_demo", stdout=out)
    for person in seeded_people():
        assert person.email in out.getvalue()
        assert person.password in out.getvalue()
    assert out.getvalue().count(" ph_live_") == 4


def test_the_json_names_everything_that_a_program_needs(seeded):
    assert list(seeded) == ["accounts", "people", "entities", "keys"]
    assert seeded["accounts"] == [
        {"slug": "northfold", "name": "Northfold Mining"},
        {"slug": "borealis", "name": "Borealis Hosting"},
    ]
    for person in seeded["people"]:
        assert set(person) == {
            "email", "password", "totp_secret", "account", "access_level", "is_owner", "is_staff",
        }  # fmt: skip
    for key in seeded["keys"]:
        assert set(key) == {"name", "account", "environment", "access_level", "scopes", "key_id", "secret"}
    sizes = {slug: {kind: len(ids) for kind, ids in kinds.items()} for slug, kinds in seeded["entities"].items()}
    assert sizes == {
        "northfold": {"miners": 24, "hubs": 2, "pools": 1},
        "borealis": {"miners": 16, "hubs": 1, "pools": 1},
    }


def test_each_account_has_an_owner_and_a_person_at_every_level_and_the_pool_has_staff(seeded):
    for slug in ("northfold", "borealis"):
        own = [person for person in seeded["people"] if person["account"] == slug]
        assert {person["access_level"] for person in own} == {level.value for level in AccessLevel}
        assert [person["access_level"] for person in own if person["is_owner"]] == ["administrator"]
    [staff] = [person for person in seeded["people"] if person["is_staff"]]
    assert (staff["account"], staff["access_level"]) == (None, None)
    assert User.objects.get(email=staff["email"]).is_superuser
    treasurer = Membership.objects.get(account__slug="northfold", access_level="treasurer")
    assert treasurer.key_permissions == frozenset(KeyPermission) - {KeyPermission.DELETE}


def test_northfold_is_set_up_for_keys_and_borealis_is_not(seeded):
    assert signing.current_signing_key(Account.objects.get(slug="northfold")) is not None
    assert signing.current_signing_key(Account.objects.get(slug="borealis")) is None


@pytest.mark.django_db(transaction=True)
def test_everybody_signs_in_with_what_was_printed():
    for person in seed()["people"]:
        user = authenticate(RequestFactory().post("/sign-in/"), username=person["email"], password=person["password"])
        assert isinstance(user, User), person["email"]
        assert len(person["password"]) >= 16
        device = TOTPDevice.objects.get(user=user)
        assert second_factor.base32_secret(device) == person["totp_secret"]
        code = f"{TOTP(device.bin_key).token():06}"
        assert second_factor.verify(user, code, action="sign_in") == device


def test_passwords_belong_to_the_installation_and_come_back(seeded, settings):
    email = "ines@northfold.example"
    ines = User.objects.get(email=email)
    ines.set_password("something else entirely")
    ines.is_active = False
    ines.save()
    seed()
    assert authenticate(RequestFactory().post("/sign-in/"), username=email, password=password_of(email)) == ines
    before = password_of(email)
    settings.SECRET_KEY = "x" * 50
    assert password_of(email) != before


def test_keys_answer_as_printed(seeded, api):
    assert [key["access_level"] for key in seeded["keys"]] == [*(level.value for level in AccessLevel), "viewer"]
    for key in seeded["keys"]:
        mount = "/api/v1" if key["environment"] == "production" else f"/{key['environment']}/api/v1"
        answer = api(key["secret"]).get(f"{mount}/key")
        assert answer.status_code == 200, answer.content
        assert answer.json()["id"] == key["key_id"]
        assert sorted(answer.json()["scopes"]) == sorted(key["scopes"]) == ["*:hubs/*", "*:miners/*", "*:pools/*"]


def test_a_custom_role_in_use_is_there_to_be_seen_and_its_key_is_not_handed_out(seeded):
    role = Role.objects.get(account__slug="northfold")
    assert role.permissions == ["entities:read", "accruals:read", "payouts:read", "hub-finance:read"]
    key = role.keys.get()
    assert (key.environment, key.status) == ("production", "active")
    assert key.key_id not in {printed["key_id"] for printed in seeded["keys"]}
    seed()
    assert list(role.keys.all()) == [key]


def test_seeding_again_keeps_everything_and_gives_keys_fresh_secrets(seeded, api):
    counted = [User, Account, Membership, Entity, HubClient, Wallet, Worker, WorkerGroup, HashrateSample]
    counted += [Accrual, Payout, ApiKey]
    before = {model: model.objects.count() for model in counted}
    again = seed()
    assert {model: model.objects.count() for model in counted} == before
    assert {**again, "keys": None} == {**seeded, "keys": None}
    for old, new in zip(seeded["keys"], again["keys"], strict=True):
        assert {**old, "secret": ""} == {**new, "secret": ""}
        if old["environment"] == "production":
            assert api(old["secret"]).get("/api/v1/key").json()["code"] == "key_revoked"
            assert api(new["secret"]).get("/api/v1/key").status_code == 200


def test_a_revoked_demo_key_is_replaced_and_a_disabled_one_enabled(seeded, api):
    viewer, accountant = (ApiKey.objects.get(key_id=key["key_id"]) for key in seeded["keys"][:2])
    lifecycle.revoke(viewer, actor=COMMAND, reason="other")
    lifecycle.disable(accountant, actor=COMMAND)
    again = seed()["keys"]
    assert again[0]["key_id"] != viewer.key_id
    assert again[1]["key_id"] == accountant.key_id
    for key in again[:2]:
        assert api(key["secret"]).get("/api/v1/key").status_code == 200


def test_the_accounts_own_limits_are_told(seeded):
    Account.objects.filter(slug="northfold").update(max_active_keys=1)
    viewer = ApiKey.objects.get(key_id=seeded["keys"][0]["key_id"])
    lifecycle.revoke(viewer, actor=COMMAND, reason="other")
    with pytest.raises(CommandError, match=r"may have 1 active key\."):
        seed()


def test_codes_change_nothing(seeded):
    before = AuditEvent.objects.count()
    out = StringIO()
    call_command("seed_demo", "--codes", "--force", stdout=out)
    assert AuditEvent.objects.count() == before
    for person in seeded_people():
        assert person.code().text in out.getvalue()
    assert "ph_" not in out.getvalue()


def test_codes_without_a_demo_say_how_to_make_one(db):
    with pytest.raises(CommandError, match="seed_demo"):
        call_command("seed_demo", "--codes", "--force")


@pytest.mark.django_db(transaction=True)
def test_a_spent_code_is_not_shown_as_good():
    seed()
    person = seeded_people()[0]
    second_factor.verify(User.objects.get(email=person.email), person.code().text, action="sign_in")
    [spent, *others] = seeded_people()
    assert spent.code().spent
    assert not any(other.code().spent for other in others)


def test_hubs_serve_their_own_miners_and_a_few_of_the_other_account_from_the_end_of_its_list(seeded):
    for slug in ("northfold", "borealis"):
        ids = seeded["entities"][slug]["miners"]
        own = Entity.objects.filter(pk__in=ids)
        assert ids == [str(pk) for pk in own.order_by("name").values_list("pk", flat=True)]
        assert ids == [str(pk) for pk in own.order_by("pk").values_list("pk", flat=True)]
        hubs = HubClient.objects.filter(hub__in=seeded["entities"][slug]["hubs"])
        assert hubs.filter(miner__account__slug=slug).exists()
        foreign = {str(pk) for pk in hubs.exclude(miner__account__slug=slug).values_list("miner", flat=True)}
        assert foreign
        assert not hubs.exclude(miner__account__slug=slug).filter(commission=0).exists()
        [other] = {"northfold", "borealis"} - {slug}
        theirs = seeded["entities"][other]["miners"]
        assert foreign == set(theirs[-len(foreign) :])
        assert len(foreign) < len(theirs) / 2


def test_every_row_would_pass_its_models_own_validation(seeded):
    for model in (Entity, HubClient, Wallet, Membership, User):
        for row in model.objects.all():
            row.full_clean()


def test_miners_have_two_to_twelve_workers_of_every_status(seeded):
    miners = Entity.objects.filter(kind="miner").annotate(machines=Count("workers"))
    assert all(2 <= miner.machines <= 12 for miner in miners)
    assert {worker.status() for worker in Worker.objects.all()} == {"online", "offline", "inactive"}
    for miner in miners:
        assert any(worker.status() == "online" for worker in miner.workers.all()), miner.name
    assert not any(worker.hashrate for worker in Worker.objects.all() if worker.status() != "online")


def test_a_worker_that_fell_silent_fades_from_the_means(seeded):
    for worker in Worker.objects.all():
        if worker.status() == "online":
            assert 0 < worker.hashrate_1d <= worker.hashrate
        else:
            assert worker.hashrate_1d <= worker.hashrate_1w
        if worker.last_share_at is None:
            assert worker.hashrate_1w == 0
    assert any(worker.hashrate_1w for worker in Worker.objects.all() if worker.status() == "offline")


def test_some_miners_have_their_workers_in_groups_where_people_leave_them(seeded):
    groups = WorkerGroup.objects.all()
    assert set(groups.values_list("name", flat=True)) == {"Hall A", "Hall B", "Container 1", "Container 2"}
    for group in groups:
        assert group.workers.exists()
        assert all(worker.miner_id == group.miner_id for worker in group.workers.all())
        assert not group.miner.workers.filter(group=None).exists()
    moved = Worker.objects.filter(group__name="Hall A").first()
    Worker.objects.filter(pk=moved.pk).update(group=None)
    seed()
    moved.refresh_from_db()
    assert moved.group is None


def test_staging_and_development_have_entities_of_their_own(seeded):
    kinds = Entity.objects.exclude(environment="production").values_list("environment", "kind").distinct()
    assert set(kinds) >= {("staging", "miner"), ("staging", "hub"), ("staging", "pool"), ("development", "miner")}


def balances() -> dict:
    """Accruals less payouts of each entity, summed as decimals (SQLite's own SUM is binary)."""
    balance: dict = defaultdict(Decimal)
    for entity, amount in Accrual.objects.values_list("entity", "amount"):
        balance[entity] += amount
    for entity, amount in Payout.objects.values_list("entity", "amount"):
        balance[entity] -= amount
    return balance


def assert_the_books_are_right() -> None:
    net = {(row.entity_id, row.day): row.amount for row in Accrual.objects.filter(client=None)}
    shares = defaultdict(dict)
    for row in Accrual.objects.exclude(client=None):
        shares[row.client_id, row.day][row.entity_id] = row.amount
    assert net
    for (miner, day), amount in net.items():
        served_by = dict(HubClient.objects.filter(miner=miner).values_list("hub", "commission"))
        gross = amount + sum(shares[miner, day].values(), Decimal(0))
        assert shares[miner, day] == {hub: commission * gross for hub, commission in served_by.items()}
        assert gross > 0
    for entity, balance in balances().items():
        assert balance > 0, entity  # something is always on its way
        paid_so_far = Decimal(0)
        for payout in Payout.objects.filter(entity=entity).order_by("paid_at"):
            paid_so_far += payout.amount
            settled = Accrual.objects.filter(entity=entity, day__lt=payout.paid_at.date() - timedelta(days=1))
            assert paid_so_far == sum(settled.values_list("amount", flat=True), Decimal(0))
            assert (payout.wallet.entity_id, payout.wallet.address) == (entity, payout.address)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=18), timedelta(days=2), timedelta(days=9)])
def test_the_books_are_right_to_the_last_decimal_today_and_after_seeding_again(db, later):
    seed()
    assert_the_books_are_right()
    assert Payout.objects.values("entity").distinct().count() == Accrual.objects.values("entity").distinct().count()
    with time_machine.travel(timezone.now() + later):
        seed()
        assert_the_books_are_right()


def test_a_changed_commission_counts_from_the_next_day_and_still_adds_up(seeded):
    client = HubClient.objects.filter(hub__name="kiruna-1").first()
    earlier = list(Accrual.objects.filter(client=client.miner).values_list("day", "amount"))
    HubClient.objects.filter(pk=client.pk).update(commission=Decimal("0.0333"))
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        seed()
        [(_, share)] = set(Accrual.objects.filter(client=client.miner).values_list("day", "amount")) - set(earlier)
        yesterday = timezone.now().date() - timedelta(days=1)
        net = Accrual.objects.get(entity=client.miner, client=None, day=yesterday).amount
        assert share == Decimal("0.0333") * (net + share)


def test_seeding_again_brings_the_data_up_to_now(seeded):
    later = timezone.now() + timedelta(days=2, hours=3)
    with time_machine.travel(later):
        assert not any(worker.status() == "online" for worker in Worker.objects.all())
        seed()
        assert any(worker.status() == "online" for worker in Worker.objects.all())
        for latest in HashrateSample.objects.values("miner").annotate(at=Max("at")):
            assert later - latest["at"] < timedelta(hours=1)
        assert Accrual.objects.latest("day").day == later.date() - timedelta(days=1)


def test_hourly_samples_cover_seven_days(seeded):
    counts = HashrateSample.objects.values("miner").annotate(hours=Count("pk"))
    assert {row["hours"] for row in counts} == {7 * 24}
    assert counts.count() == Entity.objects.filter(kind="miner").count()


def test_a_little_of_each_hour_is_rejected(seeded):
    for sample in HashrateSample.objects.all():
        assert 0.0049 * sample.hashrate <= sample.rejected <= 0.015 * sample.hashrate


def test_an_accruals_hashrate_is_the_mean_of_its_days_samples(seeded):
    day = timezone.now().date() - timedelta(days=2)
    for accrual in Accrual.objects.filter(day=day):
        samples = HashrateSample.objects.filter(miner=accrual.client_id or accrual.entity_id, at__date=day)
        rates = samples.values_list("hashrate", flat=True)
        assert accrual.hashrate == sum(rates) // len(rates)


def test_every_wallets_address_could_be_set_through_the_api(seeded):
    for wallet in Wallet.objects.all():
        assert check_address(wallet.address, wallet.coin, test_networks=True) == wallet.address


def test_wallet_addresses_are_bech32():
    # BIP 173's own example of a test network address
    key_hash = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
    assert address(key_hash) == "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"


def test_an_old_key_of_support_s_is_there_for_staff_to_retire(seeded, api):
    kept = list(SupportKey.objects.order_by("-last_used_at"))
    assert [key.name for key in kept] == [IN_USE, UNUSED]
    answer = api(old_string(IN_USE)).get("/api/v1/miners")
    assert (answer.status_code, len(answer.json()["data"])) == (200, 2)
    seed()
    assert SupportKey.objects.count() == 2
    assert not {key["key_id"] for key in seeded["keys"]} & {key.key_id for key in kept}

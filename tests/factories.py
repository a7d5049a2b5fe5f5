"""What tests are made of. Keys come from the real lifecycle: see `issue_key` in conftest."""

from __future__ import annotations

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Account, Membership, User
from entities.models import Hub, HubClient, HubInvitation, Miner, Pool, Wallet, Worker, WorkerGroup

PASSWORD = "a long enough passphrase"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    name = factory.Sequence(lambda n: f"Person {n}")
    email = factory.Sequence(lambda n: f"person{n}@example.com")
    password = factory.LazyFunction(lambda: make_password(PASSWORD))


class AccountFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Account

    name = factory.Sequence(lambda n: f"Account {n}")
    slug = factory.Sequence(lambda n: f"account-{n}")


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    account = factory.SubFactory(AccountFactory)
    user = factory.SubFactory(UserFactory)


class MinerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Miner

    account = factory.SubFactory(AccountFactory)
    environment = "production"
    name = factory.Sequence(lambda n: f"miner-{n:04}")


class HubFactory(MinerFactory):
    class Meta:
        model = Hub

    name = factory.Sequence(lambda n: f"hub-{n:04}")


class PoolFactory(MinerFactory):
    class Meta:
        model = Pool

    name = factory.Sequence(lambda n: f"pool-{n:04}")


class HubClientFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = HubClient

    hub = factory.SubFactory(HubFactory)
    miner = factory.SubFactory(MinerFactory)


class HubInvitationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = HubInvitation

    hub = factory.SubFactory(HubFactory)
    miner_id = factory.LazyFunction(uuid7)


class WorkerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Worker

    miner = factory.SubFactory(MinerFactory)
    name = factory.Sequence(lambda n: f"rig-{n:04}")
    hashrate = 200_000_000_000_000
    last_share_at = factory.LazyFunction(timezone.now)


class WorkerGroupFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = WorkerGroup

    miner = factory.SubFactory(MinerFactory)
    name = factory.Sequence(lambda n: f"rack-{n:04}")


class WalletFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Wallet

    entity = factory.SubFactory(MinerFactory)
    coin = "BTC"

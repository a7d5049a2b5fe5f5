"""A hub of Northfold and a miner of Borealis."""

from decimal import Decimal

import pytest

from tests.factories import HubClientFactory, HubFactory, MinerFactory


@pytest.fixture
def hub(account):
    return HubFactory(account=account, name="Eastgate")


@pytest.fixture
def foreign(other_account):
    """A miner of Borealis."""
    return MinerFactory(account=other_account, name="Sidewinder")


@pytest.fixture
def client(hub, foreign):
    return HubClientFactory(hub=hub, miner=foreign, commission=Decimal("0.02"), comment="since spring")


@pytest.fixture
def northfold(caller, account):
    """The hub's side."""
    return caller("*:*")


@pytest.fixture
def borealis(caller, other_account):
    """The miner's side."""
    return caller("*:*", account=other_account)

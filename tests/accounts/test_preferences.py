"""People choose their name, language, time zone and theme."""

from __future__ import annotations

import pytest

from accounts.models import AuditEvent
from tests.accounts.test_locale import language_of

PAGE = "/me/"
FILLED = {"name": "Olga Berg", "language": "ru", "time_zone": "Asia/Almaty", "theme": "dark"}


@pytest.fixture
def client(sign_in_as, owner):
    return sign_in_as(owner)


def test_what_is_chosen_is_saved_and_holds_from_the_answer_on(client, owner):
    response = client.post(PAGE, FILLED, follow=True)
    owner.refresh_from_db()
    assert {field: getattr(owner, field) for field in FILLED} == FILLED
    page = response.content.decode()
    assert language_of(response) == "ru"
    assert 'data-bs-theme="dark"' in page
    assert '<option value="Asia/Almaty" selected>' in page


def test_the_browser_remembers_the_language_for_the_next_sign_in(client):
    client.post(PAGE, FILLED)
    client.post("/sign-out/")
    assert language_of(client.get("/sign-in/")) == "ru"


def test_the_browsers_language_and_utc_can_be_chosen_again(client, owner):
    client.post(PAGE, FILLED)
    client.post(PAGE, FILLED | {"language": "", "time_zone": "", "theme": "auto"})
    owner.refresh_from_db()
    assert (owner.language, owner.time_zone, owner.theme) == ("", "", "auto")


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 151),
        ("name", "Olga\u202egreB"),
        ("language", "tlh"),
        ("time_zone", "Mars/Olympus_Mons"),
        ("time_zone", "../../etc/passwd"),
        ("theme", "pink"),
    ],
)
def test_what_cannot_be_chosen_is_refused_beside_its_field_and_changes_nothing(client, owner, field, typed):
    response = client.post(PAGE, FILLED | {field: typed})
    assert response.status_code == 200
    assert list(response.context["form"].errors) == [field]
    assert f'id="id_{field}_error"' in response.content.decode()
    before = owner.name
    owner.refresh_from_db()
    assert (owner.name, owner.language, owner.theme) == (before, "", "auto")


def test_a_new_name_is_recorded_and_other_choices_are_not(client, owner):
    client.post(PAGE, FILLED | {"name": owner.name})
    assert not AuditEvent.objects.filter(action="user.renamed").exists()
    client.post(PAGE, FILLED)
    event = AuditEvent.objects.get(action="user.renamed")
    assert event.actor == owner
    assert event.data["changes"] == {"name": {"from": "Olga", "to": "Olga Berg"}}


def test_nothing_else_of_a_person_can_be_changed_here(client, owner):
    client.post(PAGE, FILLED | {"email": "other@example.com", "is_staff": "on", "is_superuser": "on", "password": "x"})
    owner.refresh_from_db()
    assert owner.email == "olga@example.com"
    assert not owner.is_staff
    assert not owner.is_superuser


def test_a_zone_that_the_list_has_not_stays_chosen_and_one_that_is_gone_becomes_utc(client, owner):
    owner.time_zone = "CET"
    owner.save()
    assert '<option value="CET" selected>' in client.get(PAGE).content.decode()
    owner.time_zone = "Mars/Olympus_Mons"
    owner.save()
    assert '<option value="" selected>UTC</option>' in client.get(PAGE).content.decode()

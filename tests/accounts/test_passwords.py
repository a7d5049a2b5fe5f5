"""Passwords: changed with the old one and a second factor, reset by mail; the second factor always stays."""

from __future__ import annotations

import re

import pytest
from axes.models import AccessAttempt
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client

from accounts import attempts, passwords, second_factor
from accounts.models import AuditEvent, SignedInSession
from tests.factories import PASSWORD
from tests.people import fresh_code, without_tokens

NEW = "another long passphrase"
KEYS = "/a/northfold/access/api-keys/"


@pytest.fixture(autouse=True)
def _no_earlier_attempts():
    cache.clear()


def signed_in(user, password=PASSWORD):
    client = Client()
    client.post("/sign-in/", {"email": user.email, "password": password})
    client.post("/sign-in/code/", {"code": fresh_code(user)})
    assert client.get("/me/password/").status_code == 200
    return client


def change(client, user, **fields):
    data = {"current_password": PASSWORD, "new_password": NEW, "new_password_again": NEW, "nonce": "form-1"}
    return client.post("/me/password/", {**data, "code": fresh_code(user), **fields})


def ask(client, email):
    answer = client.post("/sign-in/forgotten-password/", {"email": email})
    passwords.outbox.submit(lambda: None).result()
    return answer


def mailed_link(client, user):
    ask(client, user.email)
    return re.search(r"http://\S+?(/sign-in/new-password/\S+)", mail.outbox[-1].body)[1]


def reset(client, link, password=NEW):
    moved = client.get(link)
    assert moved.status_code == 302
    return moved["Location"], client.post(moved["Location"], {"new_password": password, "new_password_again": password})


# Change


def test_a_change_ends_the_other_sessions_and_keeps_this_one(owner, django_capture_on_commit_callbacks):
    here, elsewhere = signed_in(owner), signed_in(owner)
    with django_capture_on_commit_callbacks(execute=True):
        assert change(here, owner)["Location"] == "/me/password/"
    assert here.get(KEYS).status_code == 200
    assert elsewhere.get(KEYS).status_code == 302
    assert SignedInSession.objects.get(user=owner).session_key == here.session.session_key
    owner.refresh_from_db()
    assert owner.check_password(NEW)
    assert AuditEvent.objects.filter(action="password.changed").count() == 1
    assert "confirmed with your second factor" in mail.outbox[-1].body


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"current_password": "wrong"}, "That is not your current password."),
        ({"new_password_again": "something else"}, "The two new passwords are not the same."),
        ({"new_password": "short", "new_password_again": "short"}, "at least 12 characters"),
        ({"new_password": PASSWORD, "new_password_again": PASSWORD}, "the password that you have now"),
        ({"code": "000000"}, "That code is not right"),
        ({"nonce": ""}, "out of date"),
    ],
)
def test_what_is_wrong_with_a_change_is_said_and_nothing_changes(owner, fields, words):
    client = signed_in(owner)
    page = change(client, owner, **fields)
    assert words in page.content.decode()
    assert NEW not in page.content.decode()
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)
    if "code" not in fields:
        assert second_factor.confirmed_app(owner).last_t == -1


def test_guessing_the_current_password_locks_as_sign_in_does(owner):
    client = signed_in(owner)
    answers = [change(client, owner, current_password="wrong", nonce=f"form-{n}").status_code for n in range(10)]
    assert answers == [200] * 9 + [429]


def test_the_same_form_twice_changes_once(owner):
    client = signed_in(owner)
    assert change(client, owner)["Location"] == "/me/password/"
    again = {"current_password": NEW, "new_password": "a third passphrase", "new_password_again": "a third passphrase"}
    change(client, owner, **again)
    owner.refresh_from_db()
    assert owner.check_password(NEW)


# Reset


def test_a_reset_link_sets_the_password_and_leaves_the_second_factor(client, owner, django_capture_on_commit_callbacks):
    elsewhere = signed_in(owner)
    link = mailed_link(client, owner)
    with django_capture_on_commit_callbacks(execute=True):
        place, done = reset(client, link)
    assert done["Location"] == "/sign-in/"
    assert "set-password" in place
    assert elsewhere.get(KEYS).status_code == 302
    assert client.get(KEYS).status_code == 302
    step = client.post("/sign-in/", {"email": owner.email, "password": NEW})
    assert step["Location"] == "/sign-in/code/"
    assert client.get(KEYS).status_code == 302
    client.post("/sign-in/code/", {"code": fresh_code(owner)})
    assert client.get(KEYS).status_code == 200
    assert "Your second factor is the same as before" in mail.outbox[-1].body
    assert AuditEvent.objects.filter(action="password.reset").count() == 1


def test_a_link_works_once(client, owner):
    link = mailed_link(client, owner)
    reset(client, link)
    for visitor in (client, Client()):
        assert "does not work any more" in visitor.get(link, follow=True).content.decode()


def test_of_two_who_use_one_link_at_once_one_succeeds(client, owner):
    """Both are past the check of the link when the first of them sets the password."""
    place = client.get(mailed_link(client, owner))["Location"]
    reads = []

    def be_second(execute, sql, *rest):
        if 'FROM "accounts_user"' in sql:
            reads.append(sql)
            if len(reads) == 2:  # the first was the check
                owner.set_password("what the quicker one chose")
                owner.save()
        return execute(sql, *rest)

    with connection.execute_wrapper(be_second):
        answer = client.post(place, {"new_password": NEW, "new_password_again": NEW})
    assert "does not work any more" in answer.content.decode()
    owner.refresh_from_db()
    assert not owner.check_password(NEW)
    assert not AuditEvent.objects.filter(action="password.reset").exists()


def test_a_link_lasts_an_hour_and_ends_with_another_password(client, owner, settings):
    link = mailed_link(client, owner)
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "does not work any more" in client.get(link, follow=True).content.decode()
    settings.PASSWORD_RESET_TIMEOUT = 3600
    owner.set_password("changed meanwhile, long")
    owner.save()
    assert "does not work any more" in client.get(link, follow=True).content.decode()


def test_the_answer_is_the_same_for_an_address_that_nobody_has(client, owner):
    known, unknown = ask(client, owner.email), ask(client, "nobody@example.com")
    assert without_tokens(known) == without_tokens(unknown)
    assert known.status_code == unknown.status_code == 200
    assert [message.to for message in mail.outbox] == [[owner.email]]


def test_a_switched_off_person_gets_no_link(client, owner):
    owner.is_active = False
    owner.save()
    ask(client, owner.email)
    assert mail.outbox == []


def test_three_mails_an_hour_for_one_address_and_nobody_is_told(client, owner):
    answers = [ask(client, owner.email.upper() if n % 2 else owner.email) for n in range(5)]
    assert len({without_tokens(answer) for answer in answers}) == 1
    assert len(mail.outbox) == 3


def test_twenty_links_an_hour_for_one_network(client, db):
    answers = [ask(client, f"nobody{n}@example.com").status_code for n in range(21)]
    assert answers == [200] * 20 + [429]


def test_without_the_shared_cache_the_process_counts(client, owner, settings):
    attempts._fallback.clear()
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    for _ in range(5):
        assert ask(client, owner.email).status_code == 200
    assert len(mail.outbox) == 3


def test_a_reset_ends_the_lock_of_wrong_passwords(client, owner):
    for _ in range(10):
        client.post("/sign-in/", {"email": owner.email, "password": "wrong"})
    reset(client, mailed_link(client, owner))
    assert not AccessAttempt.objects.exists()
    step = client.post("/sign-in/", {"email": owner.email, "password": NEW})
    assert step["Location"] == "/sign-in/code/"


def test_the_token_is_in_no_address_that_a_page_is_shown_under(client, owner):
    link = mailed_link(client, owner)
    shown = client.get(link)
    assert link.rstrip("/").rsplit("/", 1)[1] not in shown["Location"]
    page = client.get(shown["Location"])
    assert page["Referrer-Policy"] == "same-origin"
    assert "no-store" in page["Cache-Control"]

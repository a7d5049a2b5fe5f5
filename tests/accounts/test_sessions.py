"""Where somebody is signed in: listed in words, kept current, ended at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import sessions
from accounts.models import AuditEvent, SignedInSession
from accounts.user_agents import describe, is_hand_held
from tests.factories import PASSWORD
from tests.people import fresh_code

KEYS = "/a/northfold/access/api-keys/"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
EDGE = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"


def signed_in(user, agent=WINDOWS, address="198.51.100.7"):
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    client.post("/sign-in/", {"email": user.email, "password": PASSWORD})
    client.post("/sign-in/code/", {"code": fresh_code(user)})
    assert client.get(KEYS).status_code == 200
    return client


def row_of(client):
    return SignedInSession.objects.get(session_key=client.session.session_key)


@pytest.mark.parametrize(
    ("agent", "words", "hand_held"),
    [
        (IPHONE, "Safari 18 on iPhone", True),
        (WINDOWS, "Firefox 140 on Windows", False),
        (CHROME, "Chrome 142 on Linux", False),
        (EDGE, "Edge 142 on macOS", False),
        ("curl/8.5", "Unknown browser", False),
        ("", "Unknown browser", False),
        ("Something on Android", "Android", True),
    ],
)
def test_a_browser_is_named_in_words(agent, words, hand_held):
    assert (describe(agent), is_hand_held(agent)) == (words, hand_held)


def test_the_page_lists_where_one_is_signed_in_this_browser_first(owner, outsider):
    client = signed_in(owner)
    signed_in(owner, IPHONE, "203.0.113.20")
    page = client.get("/me/sessions/").content.decode()
    assert page.index("Firefox 140 on Windows") < page.index("Safari 18 on iPhone")
    assert page.count("This browser") == 1
    assert "203.0.113.20" in page
    assert client.session.session_key not in page


def test_a_password_alone_is_no_session(owner):
    Client().post("/sign-in/", {"email": owner.email, "password": PASSWORD})
    assert not SignedInSession.objects.exists()


def test_one_other_session_is_ended_at_once_and_without_a_code(owner):
    here, there = signed_in(owner), signed_in(owner, IPHONE)
    assert here.post(f"/me/sessions/{row_of(there).pk}/end/")["Location"] == "/me/sessions/"
    assert there.get(KEYS).status_code == 302
    assert here.get(KEYS).status_code == 200
    assert SignedInSession.objects.count() == 1
    assert AuditEvent.objects.get(action="sessions.ended").data == {"count": 1}


def test_all_others_are_ended_and_this_one_stays(owner, outsider):
    here = signed_in(owner)
    others, stranger = [signed_in(owner) for _ in range(3)], signed_in_elsewhere(outsider)
    here.post("/me/sessions/end-others/")
    assert [client.get(KEYS).status_code for client in others] == [302] * 3
    assert here.get(KEYS).status_code == 200
    assert stranger.get("/me/sessions/").status_code == 200


def signed_in_elsewhere(user):
    client = Client()
    client.post("/sign-in/", {"email": user.email, "password": PASSWORD})
    client.post("/sign-in/code/", {"code": fresh_code(user)})
    return client


def test_nobody_ends_somebody_else_s_session_or_their_own_by_this_page(owner, outsider):
    here, stranger = signed_in(owner), signed_in_elsewhere(outsider)
    for client in (stranger, here):
        here.post(f"/me/sessions/{row_of(client).pk}/end/")
    assert stranger.get("/me/sessions/").status_code == 200
    assert here.get("/me/sessions/").status_code == 200


def test_signing_out_and_signing_in_again_leave_no_row_behind(owner):
    client = signed_in(owner)
    client.post("/sign-out/")
    assert not SignedInSession.objects.exists()


def test_a_session_that_ran_out_is_not_listed(owner):
    client, old = signed_in(owner), signed_in(owner, IPHONE)
    Session.objects.filter(pk=old.session.session_key).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert "iPhone" not in client.get("/me/sessions/").content.decode()
    assert SignedInSession.objects.count() == 1


def test_a_session_is_seen_every_five_minutes_at_most_and_never_lengthened(owner):
    with time_machine.travel("2026-11-21 12:00:00+00:00", tick=False) as clock:
        client = signed_in(owner)
        sessions._seen.clear()
        ends = Session.objects.get(pk=client.session.session_key).expire_date
        clock.shift(timedelta(minutes=4))
        client.get(KEYS)
        assert row_of(client).last_seen_at.minute == 0
        sessions._seen.clear()
        clock.shift(timedelta(minutes=2))
        client.get(KEYS, REMOTE_ADDR="203.0.113.99")
        row = row_of(client)
        assert (row.last_seen_at.minute, row.address) == (6, "203.0.113.99")
        assert Session.objects.get(pk=client.session.session_key).expire_date == ends


def test_a_page_costs_no_write_for_being_seen(owner, django_assert_max_num_queries):
    client = signed_in(owner)
    client.get("/me/passkeys/")
    with django_assert_max_num_queries(10) as queries:
        client.get("/me/passkeys/")
    assert [query["sql"] for query in queries if "UPDATE" in query["sql"]] == []

"""A secret in an address or a field is refused with a hint, and owners of one that works are told of it."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.core import mail
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import get_resolver

from accounts.audit import SECURITY
from accounts.models import AuditEvent
from apikeys import attempts, key_format, lifecycle, misplaced
from apikeys.models import ApiKey
from tests.conftest import COMMAND
from tests.factories import MinerFactory

HINT = "Authorization: Bearer"


def unknown():
    return key_format.generate("production", prefix="ph").text


def exposed():
    return list(AuditEvent.objects.filter(action="key.exposed").order_by("pk"))


@pytest.fixture
def tells(django_capture_on_commit_callbacks):
    """Run something and return the mails of it."""

    def run(call):
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            call()
        return list(mail.outbox)

    return run


WAYS = {
    "query": lambda secret: Client().get("/api/v1/miners", {"api_key": secret}),
    "query, beside the right header": lambda secret: Client().get(
        "/api/v1/miners", {"api_key": secret}, headers={"Authorization": f"Bearer {secret}"}
    ),
    "percent-encoded": lambda secret: Client().get("/api/v1/miners?k=" + secret.replace("_", "%5F")),
    "path": lambda secret: Client().get(f"/api/v1/miners/{secret}/stats"),
    "path of another environment": lambda secret: Client().get(f"/staging/api/v1/{secret}"),
    "gateway, its own address": lambda secret: Client().get(f"/gateway/verify/miners/{secret}"),
    "gateway, nginx": lambda secret: Client().get("/gateway/verify", headers={"X-Original-URI": f"/x?key={secret}"}),
    "gateway, Traefik": lambda secret: Client().get("/gateway/verify", headers={"X-Forwarded-Uri": f"/{secret}/x"}),
    "page": lambda secret: Client().get("/", {"key": secret}),
    "page that is none": lambda secret: Client().get(f"/nowhere/{secret}/"),
    "sign-in": lambda secret: Client().post("/sign-in/", {"email": "olga@example.com", "password": secret}),
    "staff admin": lambda secret: Client().get(f"/admin/apikeys/activekey/?q={secret}"),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused_with_a_hint_and_its_owners_are_told(owner, issue_key, tells, way):
    key, secret = issue_key(name="Grafana")
    answers = []
    [sent] = tells(lambda: answers.append(WAYS[way](secret)))
    [answer] = answers
    assert answer.status_code == (403 if "gateway" in way else 400)
    assert HINT in answer.content.decode()
    assert secret[20:63] not in answer.content.decode()
    assert secret not in str(answer.headers)
    assert answer["Cache-Control"] == "no-store"
    assert sent.to == [owner.email]
    assert sent.subject == "Secret of an API key exposed: Grafana"
    [event] = exposed()
    place = "path" if "path" in way or "none" in way or "Traefik" in way or "own" in way else "query string"
    place = "field" if way == "sign-in" else place
    assert (event.target_id, event.address, event.data) == (
        key.key_id,
        "127.0.0.1",
        {"place": place, "secret": secret[:14] + "••••"},
    )
    assert place.split()[0] in sent.body
    assert not any(secret[20:] in str(text) for text in (sent.body, event.data, event.actor_name))
    assert AuditEvent.objects.filter(SECURITY, pk=event.pk).exists()
    key.refresh_from_db()
    assert key.status == "active", "the account decides"


@pytest.mark.parametrize("way", WAYS)
def test_one_that_is_no_key_s_gets_the_same_answer_and_tells_nobody(owner, issue_key, tells, way):
    _, secret = issue_key()
    told = []
    assert tells(lambda: told.append(WAYS[way](unknown()))) == []
    real = WAYS[way](secret)
    assert told[0].status_code == real.status_code
    strip = [
        answer.content.replace(answer.headers.get("X-Request-Id", "-").encode(), b"") for answer in (told[0], real)
    ]
    assert strip[0] == strip[1]


def test_gateways_are_told_the_code(issue_key):
    answer = WAYS["gateway, nginx"](issue_key()[1])
    assert (answer["X-Pithead-Code"], answer.json()["code"]) == ("invalid_request", "invalid_request")


def test_the_api_names_the_field_of_a_body(account, issue_key, api, owner, tells):
    miner = MinerFactory(account=account)
    _, secret = issue_key("administrator")
    _, other = issue_key(name="pasted")
    answers = []

    def send(body, content_type):
        url = f"/api/v1/miners/{miner.pk}"
        answers.append(api(secret).generic("PATCH", url, body, content_type=content_type))

    sent = tells(lambda: send(json.dumps({"name": f"mine {other}"}), "application/json"))
    assert [message.subject for message in sent] == ["Secret of an API key exposed: pasted"]
    assert tells(lambda: send(f"name={other}", "application/x-www-form-urlencoded")) == [], "they were told just now"
    for answer in answers:
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["name"])
        assert other not in answer.content.decode()
    send(json.dumps({other: 1}), "application/json")
    assert list(answers[-1].json()["errors"]) == ["body"]
    miner.refresh_from_db()
    assert "ph_" not in miner.name


IN_THE_BODY = {
    "form": lambda secret: Client().post("/api/v1/miners", {"api_key": secret}),
    "form of lines": lambda secret: Client().post(
        "/api/v1/miners", f"api_key={secret}", content_type="application/x-www-form-urlencoded"
    ),
    "JSON": lambda secret: Client().post("/api/v1/keys", {"auth": {"key": secret}}, content_type="application/json"),
    "JSON of a GET": lambda secret: Client().generic(
        "GET", "/api/v1/key", json.dumps({"key": secret}), content_type="application/json"
    ),
    "no type": lambda secret: Client().generic("PUT", "/api/v1/nowhere", secret, content_type=""),
    "another environment": lambda secret: Client().post("/staging/api/v1/miners", {"api_key": secret}),
}


@pytest.mark.parametrize("way", IN_THE_BODY)
def test_a_key_in_the_body_in_place_of_the_header_is_refused_with_the_hint_as_well(owner, issue_key, tells, way):
    _, secret = issue_key(name="Grafana")
    answers = []
    [sent] = tells(lambda: answers.append(IN_THE_BODY[way](secret)))
    [answer] = answers
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert HINT in answer.json()["detail"]
    assert "the body" in answer.json()["detail"]
    assert secret not in answer.content.decode()
    assert sent.subject == "Secret of an API key exposed: Grafana"
    assert [event.data["place"] for event in exposed()] == ["field"]
    assert IN_THE_BODY[way](unknown()).status_code == 400


def test_a_key_in_a_body_that_its_sender_may_not_send_is_found(owner, issue_key, api, tells):
    _, secret = issue_key("viewer")
    _, other = issue_key(name="pasted")
    answers = []
    [sent] = tells(lambda: answers.append(api(secret).post("/api/v1/miners", {"account_name": other}, format="json")))
    assert (answers[0].status_code, sent.subject) == (400, "Secret of an API key exposed: pasted")
    assert api(secret).post("/api/v1/miners", {"account_name": "x"}, format="json").status_code == 403


@pytest.mark.parametrize("mount", ["", "/staging", "/development"])
def test_a_question_without_a_key_of_the_one_who_asks_exposes_none(issue_key, tells, mount):
    _, secret = issue_key()
    asked = {"key": secret, "permission": "stats:read"}
    answers = []
    assert tells(lambda: answers.append(Client().post(f"{mount}/api/v1/verify", asked, "application/json"))) == []
    assert (answers[0].status_code, exposed()) == (401, [])


@pytest.mark.parametrize(
    "headers",
    [{}, {"CONTENT_LENGTH": "100000"}, {"CONTENT_LENGTH": "-1"}, {"CONTENT_LENGTH": "many"}],
)
def test_what_can_t_be_looked_through_is_refused_as_before(headers):
    answer = Client().generic("POST", "/api/v1/miners", "{}", content_type="application/json", **headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "missing_credentials")


def test_an_owner_s_form_is_refused_whole(owner, sign_in_as, issue_key, tells):
    _, secret = issue_key(name="pasted")
    answers = []
    client = sign_in_as(owner)
    form = {"name": "x", "description": f"uses {secret}"}
    [sent] = tells(lambda: answers.append(client.post("/a/northfold/access/api-keys/create/", form)))
    assert answers[0].status_code == 400
    assert sent.subject == "Secret of an API key exposed: pasted"
    assert ApiKey.objects.count() == 1


def test_fields_that_are_meant_for_secrets_take_them(owner, staff, sign_in_as, issue_key):
    key, secret = issue_key()
    explain = f"/a/northfold/access/api-keys/{key.key_id}/explain/"
    asked = {"method": "GET", "path": "/api/v1/key", "secret": secret}
    assert sign_in_as(owner).post(explain, asked).status_code == 200
    admin = sign_in_as(staff)
    assert admin.post("/admin/apikeys/activekey/explain/", asked).status_code == 200
    assert admin.post("/admin/apikeys/activekey/find/", {"text": secret}).status_code == 200
    assert admin.post("/admin/apikeys/supportkey/register/", {"old_key": secret}).status_code in (200, 302)
    assert Client().post("/report-leak/", {"found": unknown(), "url": f"https://x.example/{secret}"}).status_code == 200
    assert exposed() == []
    assert admin.post("/admin/apikeys/activekey/find/", {"text": "x", "next": secret}).status_code == 400


def test_the_list_of_these_fields_names_views_that_are_there():
    resolver = get_resolver()

    def names(patterns, namespace=""):
        for entry in patterns:
            if hasattr(entry, "url_patterns"):
                yield from names(entry.url_patterns, f"{entry.namespace}:" if entry.namespace else namespace)
            else:
                yield f"{namespace}{entry.name}"

    assert misplaced.TAKEN.keys() - {"api-verify"} <= set(names(resolver.url_patterns))


def test_where_the_staff_admin_has_a_word_of_its_own_it_is_said_and_owners_are_told(
    owner, staff, sign_in_as, issue_key, tells
):
    _, searched = issue_key(name="searched")
    key, noted = issue_key(name="noted")
    admin, answers = sign_in_as(staff), []
    assert len(tells(lambda: answers.append(admin.get("/admin/apikeys/activekey/", {"q": searched})))) == 1
    assert answers[0]["Location"] == "/admin/apikeys/activekey/find/"
    disable = f"/admin/apikeys/activekey/{key.pk}/disable/"
    assert len(tells(lambda: answers.append(admin.post(disable, {"note": f"saw {noted}"})))) == 1
    assert "note" in answers[1].context["form"].errors


def test_owners_are_told_once_a_day_of_each_secret_by_whichever_process(owner, issue_key, tells, monkeypatch):
    key, secret = issue_key()

    def again():
        misplaced.start_anew()  # another process
        return WAYS["query"](secret)

    assert len(tells(again)) == 1
    assert tells(again) == []
    assert len(exposed()) == 1
    fresh = lifecycle.rotate(key, actor=COMMAND)
    assert len(tells(lambda: WAYS["path"](fresh))) == 1
    monkeypatch.setattr(misplaced, "QUIET", timedelta(0))  # a day later
    assert len(tells(again)) == 1


@pytest.mark.parametrize("stop", ["revoke", "disable", "regenerate"])
def test_a_secret_that_works_no_more_tells_nobody_and_one_that_may_again_does(issue_key, owner, tells, stop):
    key, secret = issue_key()
    reason = {"reason": "other"} if stop == "revoke" else {}
    getattr(lifecycle, stop)(key, actor=COMMAND, **reason)
    assert len(tells(lambda: WAYS["query"](secret))) == (1 if stop == "disable" else 0)


def test_what_is_no_key_of_anybody_counts_as_a_failed_attempt(settings, db, django_assert_num_queries):
    settings.PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS = 3
    attempts.start_anew()
    for _ in range(4):
        assert WAYS["query"](unknown()).status_code == 400
    with django_assert_num_queries(0):
        assert WAYS["query"](unknown()).status_code == 400
    assert Client().get("/api/v1/key", headers={"Authorization": f"Bearer {unknown()}"}).status_code == 429


def test_a_database_that_is_gone_refuses_as_well(issue_key, monkeypatch):
    _, secret = issue_key()

    def gone(selector):
        raise OperationalError

    monkeypatch.setattr(misplaced, "load_grant", gone)
    assert WAYS["query"](secret).status_code == 400


def test_what_is_no_key_is_let_through(issue_key, api):
    _, secret = issue_key()
    mistyped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    for text in ("ph_live_", "graph_", secret[:20], mistyped, "%", "%ZZ"):
        assert Client().get("/nowhere/", {"q": text}).status_code in (302, 404)
        assert api(secret).get(f"/api/v1/{text}").status_code == 404


def test_to_look_for_one_costs_next_to_nothing():
    request = RequestFactory().get(
        "/api/v1/miners/0192f0c8-0000-7000-8000-000000000000/stats?limit=50&cursor=" + "x" * 200
    )
    began = time.perf_counter()
    for _ in range(1000):
        misplaced.check_address(request)
    assert time.perf_counter() - began < 0.1, "some 2 µs a request; the rest is a busy machine's"

"""A request that is sent again makes nothing, and shows no secret."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from apikeys import idempotency
from apikeys.models import ApiKey, ApiKeySecret, IdempotentRequest
from tests.apikeys.managers import KEYS, allow_automation, make_manager, new_key
from tests.people import fresh_code, sign_in
from tests.security.racing import race

AGAIN = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture
def manager(account, api):
    return api(make_manager(account)[1])


def post(client, url, body, headers=AGAIN):
    return client.post(url, body, format="json", headers=headers)


def test_a_repeated_creation_is_the_same_key_without_its_secret(manager, api):
    first, second = post(manager, KEYS, new_key()), post(manager, KEYS, new_key())
    assert (first.status_code, second.status_code) == (201, 200)
    secret = first.json()["secret"]
    assert api(secret).get("/api/v1/key").status_code == 200
    assert second.json() == first.json() | {"secret": None, "secret_shown": False}
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("operation", ["rotate", "regenerate"])
def test_a_repeated_operation_makes_no_other_secret(manager, issue_key, api, operation):
    key, _ = issue_key()
    url = f"{KEYS}/{key.key_id}/{operation}"
    first, second = post(manager, url, {}), post(manager, url, {})
    assert (first.status_code, second.status_code) == (201, 200)
    assert (second.json()["id"], second.json()["secret"], second.json()["secret_shown"]) == (key.key_id, None, False)
    assert ApiKeySecret.objects.filter(key=key).count() == 2
    assert api(first.json()["secret"]).get("/api/v1/key").status_code == 200


def test_a_repetition_tells_the_key_as_it_stands_now(manager):
    key_id = post(manager, KEYS, new_key()).json()["id"]
    manager.post(f"{KEYS}/{key_id}/revoke")
    assert post(manager, KEYS, new_key()).json()["status"] == "revoked"


@pytest.mark.parametrize(
    ("url", "body"), [(KEYS, new_key(name="Other")), (KEYS, new_key(description="")), ("{key}/rotate", {})]
)
def test_another_request_with_the_same_name_is_refused(manager, issue_key, url, body):
    made = post(manager, KEYS, new_key()).json()
    answer = post(manager, url.format(key=f"{KEYS}/{made['id']}"), body)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (ApiKey.objects.count(), ApiKeySecret.objects.count()) == (2, 2)


def test_the_order_of_fields_and_the_quotes_of_the_header_do_not_matter(manager):
    post(manager, KEYS, new_key())
    turned = dict(reversed(new_key().items()))
    quoted = {"Idempotency-Key": f'"{AGAIN["Idempotency-Key"]}"'}
    assert post(manager, KEYS, turned, quoted).status_code == 200


def test_each_caller_has_names_of_their_own(account, manager, owner, api):
    post(manager, KEYS, new_key())
    _, secret = make_manager(account, name="Another")
    assert post(api(secret), KEYS, new_key()).status_code == 201
    person = sign_in(APIClient(), owner)
    headers = AGAIN | {"Pithead-Account": "northfold", "Pithead-OTP": fresh_code(owner)}
    assert post(person, KEYS, new_key(), headers).status_code == 201
    # The repetition needs no code: nothing is done.
    assert post(person, KEYS, new_key(), AGAIN | {"Pithead-Account": "northfold"}).json()["secret_shown"] is False


def test_who_may_not_ask_is_told_nothing_of_an_earlier_answer(account, manager):
    post(manager, KEYS, new_key())
    allow_automation(account, key_automation=False)
    assert post(manager, KEYS, new_key()).status_code == 403


def test_what_was_refused_may_be_asked_again(manager, account):
    allow_automation(account, max_active_keys=1)
    assert post(manager, KEYS, new_key()).status_code == 422
    allow_automation(account, max_active_keys=None)
    assert post(manager, KEYS, new_key()).status_code == 201


def test_without_the_header_every_request_counts(manager):
    assert [post(manager, KEYS, new_key(), {}).status_code for _ in range(2)] == [201, 201]


@pytest.mark.parametrize("header", ["", " ", "x" * 256, "a b", '"', "clé", '"half'])
def test_a_name_that_is_none_is_refused(manager, header):
    answer = post(manager, KEYS, new_key(), {"Idempotency-Key": header})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["Idempotency-Key"])
    assert ApiKey.objects.count() == 1


def test_it_is_forgotten_after_a_week(manager, django_assert_max_num_queries):
    post(manager, KEYS, new_key())
    row = IdempotentRequest.objects.get()
    IdempotentRequest.objects.update(at=row.at - idempotency.MEMORY - timedelta(minutes=1))
    assert post(manager, KEYS, new_key()).status_code == 201
    assert IdempotentRequest.objects.get().pk != row.pk


def test_neither_the_secret_nor_the_name_is_kept(manager):
    made = post(manager, KEYS, new_key()).json()
    kept = str(list(IdempotentRequest.objects.values()))
    assert made["secret"] not in kept
    assert AGAIN["Idempotency-Key"] not in kept


def test_a_lost_answers_key_is_listed_and_can_be_ended(manager):
    """Between the row and the answer something broke: what the retry says leads to the key."""
    post(manager, KEYS, new_key())  # its answer was lost
    again = post(manager, KEYS, new_key()).json()
    assert again["id"] in [row["id"] for row in manager.get(KEYS).json()["data"]]
    assert manager.post(f"{KEYS}/{again['id']}/revoke").json()["status"] == "revoked"


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["create", "rotate"])
def test_ten_equal_requests_at_once_make_one_secret(account, issue_key, api, what):
    _, secret = make_manager(account)
    key, _ = issue_key()
    url, body = (KEYS, new_key()) if what == "create" else (f"{KEYS}/{key.key_id}/rotate", {})
    before = ApiKeySecret.objects.count()
    answers = race([lambda: post(api(secret), url, body)] * 10)
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    shown = [answer.json()["secret"] for answer in answers if answer.json()["secret_shown"]]
    assert len(shown) == 1
    assert ApiKeySecret.objects.count() == before + 1
    assert api(shown[0]).get("/api/v1/key").status_code == 200


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_ten_equal_requests_of_a_person_spend_one_code(owner, account):
    headers = AGAIN | {"Pithead-Account": "northfold", "Pithead-OTP": fresh_code(owner)}
    clients = [sign_in(APIClient(), owner) for _ in range(10)]
    answers = race([lambda client=client: post(client, KEYS, new_key(), headers) for client in clients])
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 403}
    assert ApiKey.objects.count() == 1

"""`PUT /ingest/…`: who may, what it takes, what it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from accounts.models import AuditEvent
from apikeys.models import ApiKey, Role
from entities.api import ingest
from entities.ingest.kinds import ROW_KINDS
from entities.models import Entity, HashrateSample, Miner, Worker
from tests.factories import MinerFactory

NDJSON, CSV, JSON = "application/x-ndjson", "text/csv", "application/json"
AT = "2026-06-01T12:00:00Z"
SAMPLE = settings.BASE_DIR / "docs" / "sample-pool-data"


@pytest.fixture
def ingest_secret(account, issue_key):
    """The secret of a key of the pool's backend: ``ingest_secret("staging")``."""
    role = Role.objects.create(account=account, name="Backend", permissions=["ingest:write"])

    def make(environment: str = "production") -> str:
        key, secret = issue_key("administrator", environment=environment)
        ApiKey.objects.filter(pk=key.pk).update(access_level="custom", role=role)
        return secret

    return make


@pytest.fixture
def put(ingest_secret, api):
    """Send rows in: ``put("miners", [{…}])``, or bytes with their content type."""
    client = api(ingest_secret())

    def put(kind: str, rows: Any, content_type: str = JSON, *, status: int = 200) -> Any:
        body = rows if isinstance(rows, bytes) else json.dumps(rows)
        answer = client.generic("PUT", f"/api/v1/ingest/{kind}", body, content_type=content_type)
        assert answer.status_code == status, answer.content
        return answer.json()

    return put


@pytest.fixture
def miner(account):
    return MinerFactory(account=account, name="m1")


@pytest.mark.parametrize("kind", ROW_KINDS)
@pytest.mark.parametrize("level", ["viewer", "accountant", "treasurer", "administrator"])
def test_no_access_level_may_send_data_in(issue_key, api, level, kind):
    _, secret = issue_key(level)
    answer = api(secret).put(f"/api/v1/ingest/{kind}", [], format="json")
    assert (answer.status_code, answer.json()["permission"]) == (403, "ingest:write")


def test_a_role_without_the_permission_may_not_either(issue_key, api, account, miner):
    role = Role.objects.create(account=account, name="All but", permissions=["entities:read", "settings:write"])
    key, secret = issue_key("administrator")
    ApiKey.objects.filter(pk=key.pk).update(access_level="custom", role=role)
    assert api(secret).put("/api/v1/ingest/miners", [], format="json").status_code == 403


def test_rows_are_counted_and_a_second_time_change_nothing(put, miner):
    rows = [{"miner": "northfold/m1", "name": "01", "hashrate": 5}, {"miner": "northfold/m1", "name": "02"}]
    answer = {"received": 2, "created": 2, "updated": 0, "unchanged": 0, "refused": 0, "errors": []}
    assert put("workers", rows) == answer
    assert put("workers", rows) == {**answer, "created": 0, "unchanged": 2}
    rows[0]["hashrate"] = 6
    assert put("workers", rows) == {**answer, "created": 0, "updated": 1, "unchanged": 1}


def test_all_three_content_types_say_the_same(put, miner):
    row = {"miner": "northfold/m1", "at": AT, "hashrate": 5}
    put("hashrate", [row])
    assert put("hashrate", json.dumps(row).encode() + b"\n", NDJSON)["unchanged"] == 1
    assert put("hashrate", f"at,hashrate,miner\n{AT},5,northfold/m1\n".encode(), "text/csv; charset=utf-8")[
        "unchanged"
    ] == 1  # fmt: skip


@pytest.fixture
def takes_test_coins(settings):
    """As with DEBUG, which the demo runs with."""
    settings.PITHEAD_TEST_COINS_IN_PRODUCTION = True


def test_every_kind_of_the_sample_data_comes_in(put, other_account, takes_test_coins):
    for kind in ROW_KINDS:
        [path] = SAMPLE.glob(f"{kind}.*")
        answer = put(kind, path.read_bytes(), CSV if path.suffix == ".csv" else NDJSON)
        assert (answer["refused"], answer["errors"], answer["created"] > 0) == (0, [], True), kind
    assert Miner.objects.filter(account=other_account).exists()


def test_a_bad_row_is_reported_by_its_place_and_stops_no_other(put, miner):
    row = {"miner": "northfold/m1", "at": AT, "hashrate": 5}
    answer = put("hashrate", [{**row, "hashrate": -5}, row, 7])
    assert (answer["created"], answer["refused"]) == (1, 2)
    assert answer["errors"] == [
        {"row": 1, "column": "hashrate", "message": "hashrate is -5, below zero; give a whole number, 0 or more."},
        {"row": 3, "column": "", "message": "The row is 7; give an object with the columns’ names."},
    ]
    lines = b"\n{\n" + json.dumps(row).encode() + b'\n{"miner": "\\ud800", "at": "", "hashrate": NaN}\n'
    answer = put("hashrate", lines, NDJSON)
    assert (answer["unchanged"], [error["row"] for error in answer["errors"]]) == (1, [2, 4])


def test_a_lone_surrogate_in_a_line_is_that_rows_error(put, miner):
    answer = put(
        "workers", b'{"miner": "northfold/m1", "name": "\\udfff"}\n{"miner": "northfold/m1", "name": "a"}', NDJSON
    )
    assert (answer["created"], answer["errors"][0]["column"]) == (1, "name")


def test_the_first_hundred_errors_are_told_and_all_are_counted(put):
    answer = put("hashrate", [{}] * 150)
    assert (answer["refused"], len(answer["errors"])) == (150, ingest.MAX_ERRORS)


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"{", JSON, "not JSON"),
        (b'[{"miner": "\\ud800"}]', JSON, "surrogate"),
        (b"{}", JSON, "a JSON array"),
        (b'"text"', JSON, "a JSON array"),
        (b"null", JSON, "a JSON array"),
        (b"", CSV, "a JSON array"),
        (b"at;hashrate", CSV, "Line 1: Unknown column 'at;hashrate'"),
        (b"\xff\xfe", CSV, "Line 1: It is UTF-16"),
        (b"{}\n" * (ingest.MAX_ROWS + 1), NDJSON, "at most 20,000 rows"),
        (b"[" + b"{}," * ingest.MAX_ROWS + b"{}]", JSON, "at most 20,000 rows"),
    ],
)
def test_a_body_that_can_not_be_read_as_a_whole_is_400_and_writes_nothing(put, body, content_type, says):
    answer = put("hashrate", body, content_type, status=400)
    assert (answer["code"], says in answer["detail"]) == ("invalid_request", True)
    assert not AuditEvent.objects.filter(action="pool_data.imported").exists()


@pytest.mark.parametrize("content_type", [JSON, NDJSON, CSV])
def test_a_body_over_8_mib_is_413(put, content_type):
    body = b" " * (ingest.IngestView.max_body_bytes + 1)
    assert put("hashrate", body, content_type, status=413)["code"] == "payload_too_large"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_other_content_types_are_415(put, content_type):
    assert put("hashrate", b"x", content_type, status=415)["code"] == "unsupported_media_type"


def test_only_the_ingest_routes_take_lines():
    """Routes that take JSON and forms know nothing of rows."""
    assert settings.REST_FRAMEWORK["DEFAULT_PARSER_CLASSES"] == [
        "apikeys.parsers.JsonParser",
        "apikeys.parsers.FormParser",
    ]


def test_an_unknown_kind_is_404_and_an_unknown_parameter_400(put, ingest_secret, api):
    put("rigs", [], status=404)
    put("miners?dry_run=1", [], status=400)
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert api(ingest_secret()).generic(method, "/api/v1/ingest/miners").status_code == 405


@pytest.mark.parametrize("environment", ["production", "staging", "development"])
@pytest.mark.parametrize("endpoint", ["production", "staging", "development"])
def test_rows_go_into_the_endpoints_environment_and_no_other(ingest_secret, api, account, environment, endpoint):
    url = f"/{settings.PITHEAD_API_MOUNTS[endpoint]}ingest/miners"
    answer = api(ingest_secret(environment)).put(url, [{"account": "northfold", "name": "m1"}], format="json")
    if environment == endpoint:
        assert answer.json()["created"] == 1
        assert Entity.objects.get().environment == endpoint
    else:
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_environment")
        assert not Entity.objects.exists()


def test_a_miner_of_another_environment_is_a_row_error(ingest_secret, api, miner):
    row = {"miner": str(miner.pk), "at": AT, "hashrate": 5}
    answer = api(ingest_secret("staging")).put("/staging/api/v1/ingest/hashrate", [row], format="json").json()
    assert "is into staging" in answer["errors"][0]["message"]
    assert not HashrateSample.objects.exists()


def test_a_request_is_one_audit_row_that_names_the_key(put, miner):
    put("workers", [{"miner": "northfold/m1", "name": "01"}])
    event = AuditEvent.objects.get(action="pool_data.imported")
    assert (event.via, event.actor_name) == ("api", f"administrator key ({ApiKey.objects.get().key_id})")
    assert (event.data["kind"], event.data["created"], event.data["finished"]) == ("workers", 1, True)
    assert Worker.objects.count() == 1


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000)
def test_many_rows_come_in_batches(put, miner):
    rows = [{"miner": "northfold/m1", "name": f"{number:05}"} for number in range(5_100)]
    assert put("workers", rows)["created"] == 5_100


def test_the_row_serializers_have_each_kinds_columns():
    for view in ingest.IngestView.__subclasses__():
        fields = view.request_serializers["PUT"]().child.fields
        assert {name: field.required for name, field in fields.items()} == {
            column.name: column.required for column in view.kind.columns
        }

"""manage.py verify_audit: one line for each chain, heads to keep elsewhere, and an exit code that cron understands."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEvent
from tests.accounts.trails import fill, run
from tests.factories import AccountFactory


@pytest.fixture
def northfold(db):
    return AccountFactory(slug="northfold")


@pytest.fixture
def trail(northfold):
    return fill(northfold, 3)


def verify(capsys, *arguments):
    """What the command printed, and its exit code."""
    try:
        call_command("verify_audit", *map(str, arguments))
        code = 0
    except CommandError as error:
        code = error.returncode
    return capsys.readouterr().out.splitlines(), code


def test_an_empty_trail_is_whole(db, capsys):
    assert verify(capsys) == ([], 0)


def test_each_chain_has_a_line_with_its_head(trail, capsys):
    pool = fill(None, 1)
    assert verify(capsys) == (
        [
            f"northfold: whole, 3 events, head {trail[2].digest.hex()}",
            f"pool: whole, 1 events, head {pool[0].digest.hex()}",
        ],
        0,
    )


def test_a_broken_chain_is_told_with_its_first_broken_link(trail, capsys):
    fill(None, 1)
    run("UPDATE accounts_auditevent SET action = 'key.revoked' WHERE chain = %s AND number = 2", trail[0].chain)
    lines, code = verify(capsys)
    moment = trail[1].at.isoformat()
    assert lines[0] == (
        f"northfold: broken at event 2 ({moment}, key.revoked), altered: The event is not what was recorded."
    )
    assert lines[1].startswith("pool: whole")
    assert code == 1
    assert verify(capsys, "--quiet") == (lines[:1], 1)


def test_one_account_is_checked_alone(trail, capsys):
    fill(None, 2)
    run("UPDATE accounts_auditevent SET via = 'api' WHERE chain = 'pool'")
    lines, code = verify(capsys, "--account", "northfold")
    assert (len(lines), code) == (1, 0)
    assert verify(capsys)[1] == 1


def test_heads_that_were_kept_find_an_end_that_was_cut_off_with_its_head(trail, northfold, capsys, tmp_path):
    kept, later = tmp_path / "heads.ndjson", tmp_path / "later.ndjson"
    assert verify(capsys, "--heads", kept)[1] == 0
    (line,) = map(json.loads, kept.read_text().splitlines())
    assert (line["account"], line["length"], line["digest"]) == ("northfold", 3, trail[2].digest.hex())
    fill(northfold, 1)
    assert verify(capsys, "--against", kept)[1] == 0

    run("DELETE FROM accounts_auditevent WHERE number > 2")
    run("UPDATE accounts_auditchain SET length = 2, digest = %s", bytes(trail[1].digest))
    assert verify(capsys)[1] == 0
    lines, code = verify(capsys, "--against", kept, "--heads", later)
    assert "cut off" in lines[0]
    assert code == 1
    assert not later.exists()


def test_a_key_that_is_gone_is_told(trail, capsys):
    run("DELETE FROM accounts_wrappedkey")
    assert verify(capsys) == ([], 1)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"chain": "x", "length": 1, "digest": "zz"}', b"\xff"])
def test_bad_arguments_are_told_apart(northfold, capsys, tmp_path, text):
    kept = tmp_path / "heads.ndjson"
    kept.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert verify(capsys, "--against", kept) == ([], 2)
    assert verify(capsys, "--against", tmp_path / "missing")[1] == 2
    assert verify(capsys, "--account", "nobody")[1] == 2
    assert verify(capsys, "--heads", tmp_path)[1] == 2
    assert not AuditEvent.objects.exists()

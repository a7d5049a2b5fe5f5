"""Leaked keys: a right secret that is handed in stops its key, whoever hands it in, and its owners are told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from threading import BoundedSemaphore

import pytest
import yaml
from django.core import mail

from accounts import policies
from accounts.audit import Actor
from accounts.models import Account, AuditEvent
from apikeys import key_format, leaks, lifecycle, registered, signing
from tests.conftest import COMMAND
from tests.factories import MinerFactory

FINDER = Actor(name="Leak report page", via="leak", address="198.51.100.7")


def hand_in(text, **where):
    return leaks.hand_in(text, actor=FINDER, **{"source": "somebody", **where})


@pytest.fixture
def api_status(api):
    return lambda secret: api(secret).get("/api/v1/key").status_code


def test_a_leaked_key_is_revoked_at_once_and_its_owners_are_told_where_it_was(
    issue_key, owner, api_status, django_capture_on_commit_callbacks
):
    key, secret = issue_key(name="Grafana")
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        (hit,) = hand_in(f"export KEY='{secret}' # oops", url="https://gist.example/1")
    assert (hit.key, hit.done) == (key, leaks.REVOKED)
    key.refresh_from_db()
    assert (key.revoke_reason, key.revoked_by_name) == ("leaked", "Leak report page")
    assert api_status(secret) == 401
    (sent,) = mail.outbox
    assert sent.to == [owner.email]
    assert sent.subject == "Leaked API key stopped: Grafana"
    assert "https://gist.example/1" in sent.body
    leaked = AuditEvent.objects.get(action="key.leaked")
    assert (leaked.data["url"], leaked.address) == ("https://gist.example/1", "198.51.100.7")
    assert not any(secret[9:] in str(text) for text in (sent.body, leaked.data, repr(hit)))


def test_where_the_policy_says_so_it_is_only_switched_off(account, issue_key, api_status):
    policies.set_policies(account, actor=COMMAND, leaks_only_disable=True)
    key, secret = issue_key()
    assert [hit.done for hit in hand_in(secret)] == [leaks.DISABLED]
    key.refresh_from_db()
    assert (key.status, key.revoked_at) == ("disabled", None)
    assert api_status(secret) == 401


@pytest.mark.parametrize("disable", [False, True])
def test_a_second_report_changes_nothing(account, issue_key, disable):
    Account.objects.filter(pk=account.pk).update(leaks_only_disable=disable)
    _, secret = issue_key()
    hand_in(secret)
    events = AuditEvent.objects.count()
    assert [hit.done for hit in hand_in(secret)] == [leaks.STOPPED_BEFORE]
    assert AuditEvent.objects.count() == events


def test_an_old_secret_of_a_key_stops_nothing(issue_key, account, api_status):
    key, old = issue_key()
    new = lifecycle.regenerate(key, actor=COMMAND)
    assert [hit.done for hit in hand_in(old)] == [leaks.STOPPED_BEFORE]
    assert api_status(new) == 200
    signing.retire(signing.current_signing_key(account), actor=COMMAND)
    assert [hit.done for hit in hand_in(new)] == [leaks.STOPPED_BEFORE]


def test_the_first_secret_of_a_rotation_stops_its_key_while_it_still_works(issue_key):
    key, old = issue_key()
    lifecycle.rotate(key, actor=COMMAND)
    assert [hit.done for hit in hand_in(old)] == [leaks.REVOKED]


def test_every_key_in_a_text_is_found_whatever_stands_around_it(issue_key):
    secrets = [issue_key(name=f"key {number}")[1] for number in range(3)]
    text = f"a{secrets[0]}b\n{secrets[1]}{secrets[2]} and again {secrets[0]}"
    assert [hit.done for hit in hand_in(text)] == [leaks.REVOKED] * 3


def test_no_key_and_no_right_secret_stop_nothing(issue_key, account):
    key, secret = issue_key()
    forged = secret[:21] + "A" * 43
    forged += key_format.checksum(forged)
    for text in ("", "nothing", secret[:-1], secret[:-1] + "~", secret.upper(), forged, "ph_live_" + "0" * 61):
        assert hand_in(text) == []
    key.refresh_from_db()
    assert key.status == "active"


def test_an_address_that_holds_the_secret_is_not_kept(issue_key):
    _, secret = issue_key()
    hand_in(secret, url=f"https://example.com/?key={secret}\nBcc: x")
    assert AuditEvent.objects.get(action="key.leaked").data["url"] == "https://example.com/?key=ph_[redacted] Bcc: x"


def test_the_rules_in_the_documentation_find_every_key_and_no_mask(issue_key):
    text = Path("docs/leaks.md").read_text()
    rule = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])["rules"][0]
    (partner,) = re.findall(r"```\n(ph_.*)\n```", text)
    assert partner == rule["regex"]
    for environment in ("production", "staging", "development"):
        key, secret = issue_key(environment=environment, name=environment)
        assert re.search(rule["regex"], f'KEY="{secret}"')[0] == secret
        assert any(word in secret for word in rule["keywords"])
        assert not re.search(rule["regex"], key.masked)


def test_the_pre_commit_example_runs_gitleaks_which_takes_the_rule(issue_key):
    text = Path("docs/leaks.md").read_text()
    (repo,) = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["repos"]
    assert repo["repo"] == "https://github.com/gitleaks/gitleaks"
    assert re.fullmatch(r"v\d+\.\d+\.\d+", repo["rev"])
    assert [hook["id"] for hook in repo["hooks"]] == ["gitleaks"]
    config = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    assert config["extend"] == {"useDefault": True}
    (rule,) = config["rules"]
    assert rule.keys() >= {"id", "description", "regex", "keywords"}
    # Go's regular expressions know neither look-around nor back-references; keywords are compared in lower case.
    assert not re.search(r"\(\?[=!<]|\\[1-9]", rule["regex"])
    assert all(word == word.lower() for word in rule["keywords"])


# What support once handed out has no format

OLD = "nf-7Kd93jsLq02x-Export"


@pytest.fixture
def old_key(register_key, account):
    return register_key(OLD, [MinerFactory(account=account)])


@pytest.fixture
def asked(monkeypatch):
    """The strings that were looked up as what support once handed out."""
    found, real = [], registered.find
    monkeypatch.setattr(registered, "find", lambda foreign: found.append(foreign.text) or real(foreign))
    return found


@pytest.mark.parametrize(
    "text",
    [
        OLD,
        f"curl -H 'X-Key: {OLD}' https://…",
        f"EXPORT_KEY={OLD}\nOTHER=1",
        f"<b>{OLD}</b>",
        f"key:{OLD}.",
        f"({OLD})",
    ],
)
def test_a_registered_key_is_found_in_a_text_and_stopped(old_key, mailoutbox, api_status, text):
    hits = hand_in(text, url="https://gist.example/1")
    assert [(hit.key.pk, hit.done, hit.text) for hit in hits] == [(old_key.pk, leaks.REVOKED, OLD)]
    assert api_status(OLD) == 401
    assert AuditEvent.objects.get(action="key.leaked").data["secret"] == "nf-7••••"
    assert mailoutbox == []  # owners don't see support keys
    assert [hit.done for hit in hand_in(text)] == [leaks.STOPPED_BEFORE]


def test_a_registered_key_may_hold_blanks_and_stand_on_a_line_of_its_own(register_key, account):
    register_key("correct horse battery", [MinerFactory(account=account)])
    assert [hit.done for hit in hand_in("look:\n  correct horse battery\nthere")] == [leaks.REVOKED]


def test_one_report_looks_up_some_words_alone_and_asks_argon2_about_none_that_is_wrong(old_key, asked, monkeypatch):
    monkeypatch.setattr(registered, "check_password", lambda *args: pytest.fail("Argon2 was asked."))
    assert hand_in(" ".join(f"a-wrong-guess-number-{number:06}" for number in range(900))) == []
    assert len(asked) == leaks.MOST_WORDS
    asked.clear()
    hand_in("short words cost nothing, " * 200)
    assert asked == []


def test_a_token_that_is_named_exactly_is_one_look_up(old_key, asked):
    assert hand_in(f"a-word-before-it-all {OLD}", whole=True) == []
    assert len(asked) == 1
    assert [hit.done for hit in hand_in(OLD, whole=True)] == [leaks.REVOKED]


def test_while_many_are_verified_the_rest_is_stopped_first(old_key, issue_key, monkeypatch, api_status):
    _, secret = issue_key()
    monkeypatch.setattr(registered, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(registered, "_turns", BoundedSemaphore(1))
    with registered._turns, pytest.raises(registered.Busy):
        hand_in(f"{OLD} {secret}")
    assert api_status(secret) == 401
    assert {hit.done for hit in hand_in(f"{OLD} {secret}")} == {leaks.REVOKED, leaks.STOPPED_BEFORE}

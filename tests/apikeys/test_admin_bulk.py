"""Operations on many keys: one reason, one code, a result for each key, one mail for each account."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.core import mail
from django.utils import timezone

from accounts.models import AuditEvent, User
from apikeys import lifecycle
from apikeys.admin import bulk, bulk_forms
from apikeys.models import ApiKey
from tests.apikeys.admin_pages import KEYS, SECRET, nonce_of
from tests.conftest import COMMAND, person
from tests.people import fresh_code


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def select(client, name, keys, **fields):
    """Choose the action ``name`` in the list for ``keys``: the page that asks."""
    chosen = {"action": f"{name}_selected", "_selected_action": [str(key.pk) for key in keys], "index": "0"}
    return client.post(KEYS, {**chosen, "select_across": "0", **fields})


def filled(page, staff, **fields):
    form = page.context["form"]
    asked = {"nonce": nonce_of(page), "keys": form["keys"].field.prepare_value(form["keys"].value())}
    return {**asked, "note": "Breach at their hoster", "code": fresh_code(staff), **fields}


def confirm(client, name, form):
    """Post the page that asks, and read the whole answer."""
    answer = client.post(f"{KEYS}bulk/{name}/", form)
    return answer, answer.getvalue().decode()


def hang_up(answer):
    """What the server does with an answer that can't be written any more; its database connection is the test's."""
    for close in answer._resource_closers:
        close()


def test_the_page_that_asks_says_what_is_selected(client, issue_key, other_account):
    keys = [issue_key(name=f"Key {number:02}")[0] for number in range(25)]
    keys.append(issue_key(name="Theirs", account=other_account)[0])
    ApiKey.objects.filter(pk=keys[3].pk).update(last_used_at=timezone.now() - timedelta(hours=2))
    ApiKey.objects.filter(pk=keys[4].pk).update(last_used_at=timezone.now() - timedelta(days=2))
    html = select(client, "revoke", keys).content.decode()
    assert "26 keys selected" in html
    assert "1 of them was used in the last day" in html
    assert "Northfold Mining: 25, Borealis Hosting: 1" in html
    assert "Key 19" in html
    assert "Key 20" not in html
    assert "and 6 more" in html
    assert not ApiKey.objects.revoked().exists()


def test_keys_are_revoked_with_one_reason_and_one_code(client, staff, issue_key, api):
    pairs = [issue_key(name=f"Key {number}") for number in range(3)]
    spared, _ = issue_key(name="Spared")
    gone, _ = issue_key(name="Gone before")
    page = select(client, "revoke", [key for key, _ in pairs] + [gone])
    lifecycle.revoke(gone, actor=COMMAND, reason="unneeded")
    answer, html = confirm(client, "revoke", filled(page, staff, reason="leaked"))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert "4/4" in html
    assert "Done: 3. Were so already: 1. Refused: 0." in html
    assert all(api(secret).get("/api/v1/key").status_code == 401 for _, secret in pairs)
    events = AuditEvent.objects.filter(action="key.revoked", via="admin")
    assert {(event.actor, event.data["reason"], event.data["note"]) for event in events} == {
        (staff, "leaked", "Breach at their hoster")
    }
    assert events.count() == 3
    spared.refresh_from_db()
    gone.refresh_from_db()
    assert (spared.status, gone.revoke_reason) == ("active", "unneeded")


def test_a_refused_key_says_why_and_stops_no_other(client, staff, issue_key):
    busy, free = issue_key(name="Busy")[0], issue_key(name="Free")[0]
    lifecycle.rotate(busy, actor=COMMAND)
    page = select(client, "rotate", [busy, free])
    _, html = confirm(client, "rotate", filled(page, staff, overlap="24"))
    assert "A rotation of this key is under way" in html
    assert "Done: 1. Were so already: 0. Refused: 1." in html
    assert len(SECRET.findall(html)) == 1


def test_a_key_that_crashes_stops_no_other(client, staff, issue_key, monkeypatch):
    first, second = issue_key()[0], issue_key()[0]
    real = lifecycle.disable

    def disable(key, **kwargs):
        if key.pk == first.pk:
            raise RuntimeError("the disk is full")
        return real(key, **kwargs)

    monkeypatch.setattr(lifecycle, "disable", disable)
    page = select(client, "disable", [first, second])
    _, html = confirm(client, "disable", filled(page, staff))
    assert "Done: 1." in html
    assert "Failed: 1." in html
    assert "the disk is full" not in html


def test_rotating_shows_every_new_secret_once(client, staff, issue_key, api):
    keys = [issue_key(name=f"Key {number}")[0] for number in range(3)]
    page = select(client, "rotate", keys)
    form = filled(page, staff, overlap="1")
    answer, html = confirm(client, "rotate", form)
    secrets = SECRET.findall(html)
    assert len(set(secrets)) == len(secrets) == 3
    assert "no-store" in answer["Cache-Control"]
    assert "data-wipe" in html
    assert {api(secret).get("/api/v1/key").json()["id"] for secret in secrets} == {key.key_id for key in keys}
    assert all(secret not in str(client.session.items()) for secret in secrets)
    assert all(secret not in str(event.data) for secret in secrets for event in AuditEvent.objects.all())

    repeated, html = confirm(client, "rotate", form)
    assert repeated.status_code == 409
    assert not SECRET.search(html)
    assert "was confirmed before" in html
    assert all(key.key_id in html for key in keys)
    assert all(key.secrets.count() == 2 for key in keys)


def test_disabling_many_takes_a_code(client, staff, issue_key):
    keys = [issue_key()[0] for _ in range(2)]
    form = filled(select(client, "disable", keys), staff)
    refused = client.post(f"{KEYS}bulk/disable/", {**form, "code": "000000"})
    assert "code" in refused.context["form"].errors
    assert "2 keys selected" in refused.content.decode()
    assert ApiKey.objects.disabled().count() == 0
    again = {**form, "nonce": nonce_of(refused), "code": fresh_code(staff)}
    confirm(client, "disable", again)
    assert ApiKey.objects.disabled().count() == 2


@pytest.mark.django_db(transaction=True)
def test_each_account_gets_one_mail(client, staff, owner, outsider, issue_key, other_account):
    keys = [issue_key(name=f"Key {number}")[0] for number in range(3)]
    keys.append(issue_key(name="Theirs", account=other_account)[0])
    form = filled(select(client, "revoke", keys), staff, reason="leaked")
    mail.outbox.clear()
    confirm(client, "revoke", form)
    assert {message.to[0]: message.subject for message in mail.outbox} == {
        owner.email: "3 API keys revoked",
        outsider.email: "API key revoked: Theirs",
    }
    assert len(mail.outbox) == 2
    (told,) = (message.body for message in mail.outbox if message.to == [owner.email])
    assert all(key.key_id in told for key in keys[:3])
    assert keys[3].key_id not in told
    assert "The pool’s staff" in told


def test_more_than_the_limit_is_refused_with_what_to_do(client, staff, issue_key, monkeypatch):
    monkeypatch.setattr(bulk, "MOST", 2)
    monkeypatch.setattr(bulk_forms, "MOST", 2)
    keys = [issue_key()[0] for _ in range(3)]
    answer = select(client, "revoke", keys[:1], select_across="1")
    assert answer["Location"] == KEYS
    assert "More than 2 keys are selected" in client.get(KEYS).content.decode()
    form = filled(select(client, "revoke", keys[:2]), staff, reason="leaked")
    form["keys"] = ",".join(str(key.pk) for key in keys)
    assert "keys" in client.post(f"{KEYS}bulk/revoke/", form).context["form"].errors
    assert not ApiKey.objects.revoked().exists()


def test_all_pages_of_a_narrowed_list_can_be_selected(client, staff, issue_key, other_account):
    mine = [issue_key()[0] for _ in range(2)]
    issue_key(account=other_account)
    chosen = {"action": "disable_selected", "_selected_action": [str(mine[0].pk)], "select_across": "1", "index": "0"}
    page = client.post(f"{KEYS}?account={mine[0].account.slug}", chosen)
    confirm(client, "disable", filled(page, staff))
    assert set(ApiKey.objects.disabled()) == set(mine)


@pytest.mark.parametrize("keys", ["", "x", "0192,", "'; DROP TABLE"])
def test_a_broken_selection_is_told_and_never_crashes(client, staff, issue_key, keys):
    key, _ = issue_key()
    form = {**filled(select(client, "revoke", [key]), staff, reason="leaked"), "keys": keys}
    assert "keys" in client.post(f"{KEYS}bulk/revoke/", form).context["form"].errors
    assert client.get(f"{KEYS}bulk/revoke/")["Location"] == KEYS
    broken = client.post(KEYS, {"action": "revoke_selected", "_selected_action": [keys], "index": "0"})
    assert broken.status_code == 302
    assert not ApiKey.objects.revoked().exists()


def test_a_stop_is_finished_when_nobody_reads_the_answer_any_more(client, staff, issue_key):
    keys = [issue_key()[0] for _ in range(3)]
    answer = client.post(f"{KEYS}bulk/revoke/", filled(select(client, "revoke", keys), staff, reason="leaked"))
    rows = iter(answer.streaming_content)
    [next(rows) for _ in range(2)]
    hang_up(answer)
    assert ApiKey.objects.revoked().count() == 3


def test_a_rotation_makes_no_secret_for_nobody(client, staff, issue_key):
    keys = [issue_key()[0] for _ in range(3)]
    answer = client.post(f"{KEYS}bulk/rotate/", filled(select(client, "rotate", keys), staff, overlap="1"))
    rows = iter(answer.streaming_content)
    [next(rows) for _ in range(2)]
    hang_up(answer)
    assert sum(key.secrets.count() for key in keys) == 4


def test_the_code_holds_for_the_whole_batch_however_slow_it_is(client, staff, issue_key):
    keys = [issue_key()[0] for _ in range(3)]
    answer = client.post(f"{KEYS}bulk/revoke/", filled(select(client, "revoke", keys), staff, reason="leaked"))
    rows = iter(answer.streaming_content)
    [next(rows) for _ in range(2)]
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        list(rows)
    assert ApiKey.objects.revoked().count() == 3


@pytest.mark.parametrize(
    ("group", "offered"),
    [
        ("support", ["disable"]),
        ("security", ["disable", "revoke"]),
        ("administrators", ["rotate", "disable", "revoke"]),
    ],
)
def test_each_group_is_offered_and_allowed_its_own_bulk_operations(group, offered, issue_key, sign_in_as):
    user = person(None, "Greta")
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name=group))
    client = sign_in_as(user)
    issue_key()
    page = client.get(KEYS)
    choices = [value for value, _ in page.context["action_form"].fields["action"].choices if value]
    assert choices == [f"{name}_selected" for name in offered]
    for name in ["rotate", "disable", "revoke"]:
        assert (client.post(f"{KEYS}bulk/{name}/", {}).status_code == 403) == (name not in offered)
    assert client.get("/admin/apikeys/revokedkey/").context["action_form"] is None


def test_names_cannot_break_the_page(client, staff, issue_key):
    key, _ = issue_key(name="<b>=cmd|' /C calc'!A0")
    page = select(client, "disable", [key])
    assert "<b>=cmd" not in page.content.decode()
    _, html = confirm(client, "disable", filled(page, staff))
    assert "<b>=cmd" not in html
    assert bulk.CUT not in html


@pytest.mark.parametrize("taken", ["group", "staff", "active"])
def test_who_loses_the_right_meanwhile_stops_nothing_more(issue_key, sign_in_as, monkeypatch, taken):
    user = person(None, "Sven")
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get(name="security"))
    client, keys = sign_in_as(user), [issue_key(name=f"Key {number}")[0] for number in range(4)]
    real = lifecycle.revoke

    def revoke(key, **fields):
        done = real(key, **fields)
        if ApiKey.objects.revoked().count() == 2:
            if taken == "group":
                user.groups.clear()
            else:
                User.objects.filter(pk=user.pk).update(**{f"is_{taken}": False})
        return done

    form = filled(select(client, "revoke", keys), user, reason="leaked")
    monkeypatch.setattr(lifecycle, "revoke", revoke)
    _, html = confirm(client, "revoke", form)
    assert html.count("Not done: your right to do this was taken away") == 2
    assert "Done: 2. Were so already: 0. Refused: 2." in html
    assert ApiKey.objects.revoked().count() == 2


def test_a_lost_right_stops_what_goes_on_after_the_connection_broke(client, staff, issue_key):
    keys = [issue_key(name=f"Key {number}")[0] for number in range(3)]
    answer = client.post(f"{KEYS}bulk/disable/", filled(select(client, "disable", keys), staff))
    rows = iter(answer.streaming_content)
    [next(rows) for _ in range(2)]
    User.objects.filter(pk=staff.pk).update(is_active=False)
    hang_up(answer)
    assert ApiKey.objects.disabled().count() == 1

"""Find by secret: a secret or a piece of one leads staff to its key, and is kept nowhere."""

import logging
from threading import BoundedSemaphore

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session

from accounts.models import AuditEvent
from apikeys import lifecycle, registered, secret_search
from apikeys.models import ApiKey
from tests.apikeys.admin_pages import KEYS, SECRET
from tests.conftest import COMMAND, person
from tests.factories import MinerFactory

FIND = f"{KEYS}find/"


@pytest.fixture
def client(staff, sign_in_as):
    return sign_in_as(staff)


def found(client, text):
    answer = client.post(FIND, {"text": text})
    assert answer.status_code == 200
    return answer, [(piece, list(piece.matches)) for piece in answer.context["found"].pieces]


def altered(secret):
    """The same selector, another secret, a checksum that fits."""
    from apikeys import key_format

    body = secret[:-7] + ("a" if secret[-7] != "a" else "b")
    return body + key_format.checksum(body)


def test_a_whole_secret_leads_to_its_key_and_is_told_to_be_real(client, issue_key):
    key, secret = issue_key(name="Grafana")
    issue_key(name="Another")
    answer, [(piece, [match])] = found(client, f"  {secret}\n")
    assert (match.key, match.is_real, piece.whole) == (key, True, True)
    html = answer.content.decode()
    assert "<strong>Is real</strong>, and works" in html
    assert f'href="{KEYS}{key.pk}/change/"' in html
    assert f'href="{KEYS}{key.pk}/revoke/"' in html
    assert "Another" not in html


def test_a_made_up_secret_with_a_true_beginning_is_told_from_a_real_one(client, issue_key):
    key, secret = issue_key()
    answer, [(_, [match])] = found(client, altered(secret))
    assert (match.key, match.is_real) == (key, False)
    assert "Is not real" in answer.content.decode()
    mistyped = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    answer, [(piece, [match])] = found(client, mistyped)
    assert (piece.whole, match.is_real) == (False, None)
    assert "its checksum is wrong" in answer.content.decode()


@pytest.mark.parametrize("length", [6, 8, 12, 20, 40])
def test_a_piece_finds_its_key_by_the_beginning_of_the_selector(client, issue_key, length):
    key, secret = issue_key()
    start = len("ph_live_")
    answer, [(_, [match])] = found(client, f"key={secret[: start + length]}••••")
    assert (match.key, match.is_real) == (key, None)
    assert "Only a piece" in answer.content.decode()


def test_a_selector_is_compared_letter_by_letter(client, issue_key):
    _, secret = issue_key()
    start = len("ph_live_")
    piece = secret[start : start + 8]
    assert piece.swapcase() != piece
    _, [(_, matches)] = found(client, f"ph_live_{piece.swapcase()}")
    assert matches == []


@pytest.mark.parametrize(
    "text", ["ph_live_7GkQ2", "7GkQ2mZp4XbT", "hello", "ph_other_7GkQ2mZp4XbT", "•" * 50, "\x01'\""]
)
def test_what_shows_too_little_finds_nothing_and_says_so(client, issue_key, text):
    issue_key()
    answer = client.post(FIND, {"text": text})
    assert answer.status_code == 200
    assert "Nothing in it looks like a key" in answer.content.decode()


def test_an_empty_form_and_a_far_too_long_one_are_refused(client):
    assert "text" in client.post(FIND, {"text": " "}).context["form"].errors
    assert "text" in client.post(FIND, {"text": "x" * 100_001}).context["form"].errors


def test_several_are_found_inside_a_longer_text_with_one_query(client, issue_key, django_assert_max_num_queries):
    pairs = [issue_key(name=f"Key {number}") for number in range(3)]
    lifecycle.revoke(pairs[2][0], actor=COMMAND, reason="leaked")
    log = "\n".join(f'GET /?token={secret}&x=1 "Bearer%20{secret}"' for _, secret in pairs) + " ph_live_ZZZZZZ"
    with django_assert_max_num_queries(4):  # secrets with their keys, all secrets of those, and no more
        result = secret_search.find(log)
    assert [piece.matches[0].key for piece in result.pieces if piece.matches] == [key for key, _ in pairs]
    assert all(piece.matches[0].is_real for piece in result.pieces if piece.matches)
    html = found(client, log)[0].content.decode()
    assert f"/admin/apikeys/revokedkey/{pairs[2][0].pk}/change/" in html
    assert f"{pairs[2][0].pk}/revoke/" not in html
    assert "No key begins like this" in html


def test_two_secrets_without_anything_between_are_told_apart(issue_key):
    first, second = issue_key()[1], issue_key()[1]
    assert [piece.text for piece in secret_search.find(first + second).pieces] == [first, second]


def test_at_most_twenty_are_looked_up_and_the_rest_is_named(client):
    text = " ".join(f"ph_live_AAAAAA{number:02}" for number in range(21))
    answer, pieces = found(client, text)
    assert len(pieces) == 20
    assert "It holds more" in answer.content.decode()


def test_support_keys_are_found_as_well(client, issue_key):
    key, secret = issue_key()
    ApiKey.objects.filter(pk=key.pk).update(support=True)
    answer, [(_, [match])] = found(client, secret)
    assert match.key == ApiKey.every.get(pk=key.pk)
    assert "(support key)" in answer.content.decode()


def test_who_may_not_revoke_is_offered_no_revocation(issue_key, sign_in_as):
    user = person(None, "Sven")
    user.is_staff = True
    user.save()
    assert sign_in_as(user).get(FIND).status_code == 403
    user.groups.add(Group.objects.get(name="support"))
    key, secret = issue_key()
    html = sign_in_as(user).post(FIND, {"text": secret}).content.decode()
    assert f"{key.pk}/change/" in html
    assert "/revoke/" not in html


def test_what_is_pasted_is_kept_nowhere(client, issue_key, caplog, capfd):
    _, secret = issue_key()
    fragment = secret[8:60]
    events = AuditEvent.objects.count()
    with caplog.at_level(logging.DEBUG):
        answer = client.post(FIND, {"text": f"found {secret} there"})
    assert "no-store" in answer["Cache-Control"]
    assert fragment not in answer.content.decode()
    assert secret[20:40] not in answer.content.decode()
    assert fragment not in "".join(record.getMessage() for record in caplog.records) + "".join(capfd.readouterr())
    assert all(fragment not in str(session.get_decoded()) for session in Session.objects.all())
    assert fragment not in str(client.cookies)
    assert AuditEvent.objects.count() == events
    assert secret[20:40] not in client.get(FIND).content.decode()


@pytest.mark.parametrize("section", ["activekey", "revokedkey"])
def test_a_secret_in_the_ordinary_search_is_not_searched_and_leads_to_the_right_page(client, issue_key, section):
    key, secret = issue_key()
    for text in [secret, f"my {secret[:24]}", secret[20:60]]:
        answer = client.get(f"/admin/apikeys/{section}/", {"q": text})
        assert answer["Location"] == FIND
        page = client.get(FIND)
        assert "revoke the key" in page.content.decode()
        assert secret[20:24] not in page.content.decode()
        assert all(secret[20:60] not in str(session.get_decoded()) for session in Session.objects.all())
        assert not SECRET.search(str(client.cookies))
    for text in [key.key_id, str(key.pk), "a name of several words", key.masked]:
        assert client.get(f"/admin/apikeys/{section}/", {"q": text}).status_code == 200


def test_an_old_key_is_found_and_a_busy_server_says_so(client, register_key, account, monkeypatch):
    old = "nf-7Kd93jsLq02x-Export"
    key = register_key(old, [MinerFactory(account=account)])
    text = f"EXPORT_KEY={old}"
    with monkeypatch.context() as patch:
        patch.setattr(registered, "WAIT_SECONDS", 0.0)
        patch.setattr(registered, "_turns", BoundedSemaphore(1))
        with registered._turns:
            assert "Try again in a few seconds" in client.post(FIND, {"text": text}).content.decode()
    answer, _ = found(client, text)
    assert list(answer.context["found"].registered) == [ApiKey.every.get(pk=key.pk)]

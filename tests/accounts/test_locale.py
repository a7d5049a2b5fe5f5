"""In which language and time zone pages, answers and mails speak."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.core import mail
from django.template import Context, Template
from django.test import Client
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy

from accounts import notifications
from accounts.time_zones import choices, offset, zone_named

RU = {"HTTP_ACCEPT_LANGUAGE": "ru,en;q=0.5"}
SUMMER = datetime.datetime(2026, 7, 14, 8, 30, tzinfo=datetime.UTC)
WINTER = datetime.datetime(2026, 1, 14, 8, 30, tzinfo=datetime.UTC)


def language_of(response):
    """What the page says of itself, in its markup and in its headers."""
    page = response.content.decode()
    said = page.split('<html lang="')[1].split('"')[0]
    assert response["Content-Language"] == said
    return said


@pytest.fixture
def speak(owner, sign_in_as):
    """Open the roles page as somebody who chose this language and zone."""

    def get(language="", time_zone="", **headers):
        owner.language, owner.time_zone = language, time_zone
        owner.save()
        return sign_in_as(owner).get("/a/northfold/access/roles/", **headers)

    return get


@pytest.mark.parametrize(
    ("chosen", "asked", "spoken"),
    [
        ("ru", "en", "ru"),
        ("en", "ru", "en"),
        ("", "ru-RU,ru;q=0.9", "ru"),
        ("", "de,fr;q=0.8", "en"),
        ("", "", "en"),
        ("tlh", "ru", "ru"),
    ],
)
def test_a_persons_own_language_comes_before_their_browsers(speak, chosen, asked, spoken):
    assert language_of(speak(chosen, HTTP_ACCEPT_LANGUAGE=asked)) == spoken


def test_strangers_are_asked_in_their_browsers_language_and_caches_are_told(db):
    response = Client().get("/sign-in/", **RU)
    assert language_of(response) == "ru"
    assert {"Accept-Language", "Cookie"} <= {name.strip() for name in response["Vary"].split(",")}


def test_the_switch_on_the_sign_in_page_is_remembered_by_the_browser(db):
    client = Client()
    assert 'value="ru" lang="ru"' in client.get("/sign-in/").content.decode()
    response = client.post("/language/", {"language": "ru", "next": "/sign-in/?next=/docs/"})
    assert response["Location"] == "/sign-in/?next=/docs/"
    cookie = response.cookies["django_language"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert language_of(client.get("/sign-in/")) == "ru"


def test_the_switch_knows_our_languages_only_and_leads_nowhere_else(db):
    response = Client().post("/language/", {"language": "tlh", "next": "https://evil.example/"})
    assert response["Location"] == "/sign-in/"
    assert not response.cookies


def test_programs_are_answered_in_english_whatever_they_ask_for(issue_key, api):
    _key, secret = issue_key()
    for path in ("/api/v1/key", "/api/v1/miners", "/api/v1/miners?limit=none", "/api/v1/miners/nowhere"):
        english, asked = api(secret).get(path), api(secret).get(path, **RU)
        assert asked.status_code == english.status_code, path
        assert "Content-Language" not in asked
        first, second = english.json(), asked.json()
        assert {**first, "request_id": ""} == {**second, "request_id": ""}, path


def test_the_description_of_the_api_is_english_whoever_asks_first(db):
    from apikeys import openapi

    english = openapi.document()
    openapi._make.cache_clear()
    with translation.override("ru"):
        assert openapi.document() == english
    response = Client().get("/docs/openapi.json", **RU)
    assert "Content-Language" not in response
    assert response.json() == english


def test_the_next_request_in_the_thread_starts_anew(speak, issue_key, api):
    _key, secret = issue_key()
    speak("ru", "Asia/Almaty")
    assert translation.get_language() == "en"
    assert timezone.get_current_timezone_name() == "UTC"
    api(secret).get("/api/v1/key", **RU)
    assert translation.get_language() == "en"


def test_the_staff_admin_speaks_english_in_utc(sign_in_as, staff):
    staff.language, staff.time_zone = "ru", "Asia/Almaty"
    staff.save()
    page = sign_in_as(staff).get("/admin/", **RU).content.decode()
    assert '<html lang="en' in page
    assert "Watch over accounts, entities and keys" in page


def show(at, zone, language="en"):
    with timezone.override(zone_named(zone)), translation.override(language):
        return Template("{{ at|moment }}").render(Context({"at": at}))


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        (SUMMER, "Europe/Berlin", "14 Jul 2026, 10:30"),
        (WINTER, "Europe/Berlin", "14 Jan 2026, 09:30"),
        (SUMMER, "America/St_Johns", "14 Jul 2026, 06:00"),
        (SUMMER, "Pacific/Kiritimati", "14 Jul 2026, 22:30"),
        (SUMMER, "UTC", "14 Jul 2026, 08:30 UTC"),
        (SUMMER, "", "14 Jul 2026, 08:30 UTC"),
        (SUMMER, "Mars/Olympus_Mons", "14 Jul 2026, 08:30 UTC"),
        (SUMMER, "../../etc/passwd", "14 Jul 2026, 08:30 UTC"),
        (SUMMER, "Europe", "14 Jul 2026, 08:30 UTC"),
    ],
)
def test_times_are_in_the_persons_zone_with_its_summer_time_and_in_utc_on_hover(at, zone, shown):
    month = "July" if at is SUMMER else "January"
    assert show(at, zone) == (
        f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}" title="14 {month} 2026, 08:30:00 UTC">{shown}</time>'
    )


def test_russian_months_are_in_the_genitive():
    may = datetime.datetime(2026, 5, 5, 21, 30, tzinfo=datetime.UTC)
    assert show(may, "Europe/Moscow", "ru") == (
        '<time datetime="2026-05-05T21:30:00Z" title="5 мая 2026, 21:30:00 UTC">6 мая 2026, 00:30</time>'
    )


def test_a_page_shows_times_in_the_zone_that_its_reader_chose(speak, issue_key, owner, sign_in_as):
    key, _ = issue_key()
    speak("", "Asia/Almaty")
    page = sign_in_as(owner).get(f"/a/northfold/access/api-keys/{key.key_id}/").content.decode()
    at = key.created_at
    assert f"{at:%H:%M:%S} UTC" in page
    assert f"{at.astimezone(zone_named('Asia/Almaty')):%H:%M}</time>" in page


@pytest.mark.parametrize(
    ("name", "at", "words"),
    [
        ("Europe/Berlin", WINTER, "UTC+01:00"),
        ("Europe/Berlin", SUMMER, "UTC+02:00"),
        ("America/St_Johns", WINTER, "UTC−03:30"),
        ("Asia/Kathmandu", SUMMER, "UTC+05:45"),
        ("Africa/Abidjan", SUMMER, "UTC"),
    ],
)
def test_the_list_of_zones_says_the_offset_that_holds_now(name, at, words):
    assert offset(name, at) == words
    listed = {value: label for _area, places in choices(at) for value, label in places}
    assert listed[name].endswith(f"({words})")


def test_mail_speaks_the_language_of_its_receiver_not_of_who_caused_it(
    owner, treasurer, django_capture_on_commit_callbacks
):
    owner.language = "ru"
    owner.save()
    with (
        django_capture_on_commit_callbacks(execute=True),
        translation.override("ru"),
        timezone.override(zone_named("Asia/Almaty")),
    ):
        for user in (owner, treasurer):
            notifications.notify(user, gettext_lazy("January"), "second_factor_changed", what=gettext_lazy("Monday"))
    to_owner, to_treasurer = mail.outbox
    assert (to_owner.subject, to_treasurer.subject) == ("Январь", "January")
    assert "Понедельник" in to_owner.body
    assert "Monday" in to_treasurer.body


def test_two_people_at_once_get_a_language_each(db):
    """The choice belongs to the request, not to the process."""
    met = threading.Barrier(2)
    spoken = {}

    def read(language):
        with translation.override(language):
            met.wait(10)
            spoken[language] = str(gettext_lazy("January"))

    threads = [threading.Thread(target=read, args=(language,)) for language in ("en", "ru")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spoken == {"en": "January", "ru": "Январь"}


def test_places_are_in_the_reader_s_language():
    def shown(language):
        with translation.override(language):
            return {name: label for _area, places in choices() for name, label in places}["Europe/Moscow"]

    assert (shown("en"), shown("ru")) == ("Moscow (UTC+03:00)", "Москва (UTC+03:00)")

"""What production serves beside the pages: every asset named by its content and kept by browsers for good."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client, RequestFactory
from whitenoise.middleware import WhiteNoiseMiddleware

from tests.people import sign_in

ASSET = re.compile(r'(?:src|href)="(/static/[^"#]+)')
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")


@pytest.fixture
def collected(settings, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    # Django's own: what it names, WhiteNoise's compresses besides, which takes a minute.
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    call_command("collectstatic", verbosity=0, interactive=False)
    return tmp_path


def test_every_asset_of_a_page_is_hashed_and_kept_for_good(collected, owner, issue_key):
    key, _ = issue_key()
    client = sign_in(Client(), owner)
    keys = "/a/northfold/access/api-keys/"
    found: set[str] = set()
    for path in ("/me/", keys, f"{keys}create/", f"{keys}{key.key_id}/", "/a/northfold/settings/", "/docs/"):
        page = client.get(path)
        assert page.status_code == 200, path
        found |= set(ASSET.findall(page.content.decode()))
    assert len(found) > 10
    server = WhiteNoiseMiddleware(lambda request: None)
    for asset in sorted(found):
        assert HASHED.search(asset), asset
        served = server(RequestFactory().get(asset))
        assert served is not None, asset
        assert served.status_code == 200
        assert "immutable" in served["Cache-Control"], asset
        served.close()


def test_what_style_sheets_refer_to_is_there_and_hashed(collected):
    sheets = [path for path in (collected / "css").glob("*.css") if HASHED.search(path.name)]
    assert sheets
    for sheet in sheets:
        for target in re.findall(r'url\("?([^")]+)"?\)', sheet.read_text()):
            assert not target.startswith("data:"), sheet.name
            assert HASHED.search(target), (sheet.name, target)
            assert (sheet.parent / target).resolve().is_file(), (sheet.name, target)

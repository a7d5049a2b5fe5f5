"""Who may what in the staff admin: every route × GET and POST × everybody, drawn from the URLconf (TRAPS 4).

A route that the table doesn't list fails, and so does a page of our own that names no permission.
"""

from __future__ import annotations

import re

import pytest
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django_otp.plugins.otp_totp.models import TOTPDevice

from apikeys.models import ApiKey
from apikeys.staff_groups import GROUPS
from tests.security.admin_world import ROLES, admin_routes, model_admins

STAFF, NOBODY = "any staff", "nobody"
#: What Django gives a section: the list, a row, its history, adding, changing, deleting; and the old address of a row.
ROW = "<path:object_id>/"


def a_section(view: str, *, add: str = NOBODY, change: str = NOBODY, delete: str = NOBODY) -> dict:
    """route -> the permission that it takes, or those of GET and of POST."""
    return {
        "": view,
        "add/": add,
        f"{ROW}change/": (view, change),
        f"{ROW}history/": view,
        f"{ROW}delete/": delete,
        ROW: view,
    }


KEYS = "apikeys.view_apikey"
STOP_AND_GO = {
    "<uuid:object_id>/revoke/": "apikeys.revoke_apikey",
    "<uuid:object_id>/disable/": "apikeys.disable_apikey",
    "<uuid:object_id>/enable/": "apikeys.enable_apikey",
}
TRANSFER = {"<uuid:object_id>/transfer/": "entities.transfer_entity"}
ENTITY = {"view": "entities.view_entity", "add": "entities.add_entity", "change": "entities.change_entity"}
#: section -> route within it -> the permission that it takes, or those of GET and of POST
SECTIONS: dict[str, dict[str, str | tuple[str, str]]] = {
    "accounts/account/": {
        **a_section("accounts.view_account", add="accounts.add_account", change="accounts.change_account"),
        "<uuid:object_id>/bootstrap/": "apikeys.bootstrap_account",
        "<uuid:object_id>/suspend/": "accounts.suspend_account",
        "<uuid:object_id>/resume/": "accounts.suspend_account",
        "<uuid:object_id>/policies/": "accounts.change_account",
        "<uuid:object_id>/members/add/": "accounts.add_membership",
        "<uuid:object_id>/members/<int:member_id>/change/": "accounts.change_membership",
        "<uuid:object_id>/members/<int:member_id>/remove/": "accounts.delete_membership",
        "<uuid:object_id>/signing-keys/": "apikeys.view_signingkey",
        "<uuid:object_id>/signing-keys/rotate/": "apikeys.rotate_signingkey",
        "<uuid:object_id>/signing-keys/<int:version>/retire/": "apikeys.retire_signingkey",
    },
    "accounts/auditevent/": {
        **a_section("accounts.view_auditevent"),
        "export/": "accounts.export_auditevent",
        "verify/": "accounts.view_auditevent",
    },
    "accounts/user/": {
        **a_section("accounts.view_user", add="accounts.add_user", change="accounts.change_user"),
        "<int:object_id>/email/": "accounts.change_user",
        "<int:object_id>/access/": "superuser",
        "<int:object_id>/reset-second-factor/": "accounts.change_user",
        "<int:object_id>/sign-out/": "accounts.sign_out_user",
    },
    "apikeys/activekey/": {
        **a_section(KEYS, add="apikeys.add_apikey"),
        "nameable/": "apikeys.add_apikey",
        "explain/": KEYS,
        "find/": KEYS,
        "<uuid:object_id>/edit/": "apikeys.change_apikey",
        "<uuid:object_id>/rotate/": "apikeys.rotate_apikey",
        "<uuid:object_id>/end-overlap/": "apikeys.rotate_apikey",
        "<uuid:object_id>/regenerate/": "apikeys.rotate_apikey",
        **STOP_AND_GO,
        "bulk/rotate/": "apikeys.rotate_apikey",
        "bulk/disable/": "apikeys.disable_apikey",
        "bulk/revoke/": "apikeys.revoke_apikey",
    },
    "apikeys/revokedkey/": a_section(KEYS),
    "apikeys/supportkey/": {
        **a_section(KEYS, add="apikeys.register_supportkey"),
        "register/": "apikeys.register_supportkey",
        "issue/": "apikeys.register_supportkey",
        **STOP_AND_GO,
    },
    "apikeys/role/": {
        **a_section("apikeys.view_role", add="apikeys.add_role"),
        "<uuid:object_id>/edit/": "apikeys.change_role",
        "<uuid:object_id>/clone/": "apikeys.add_role",
        "<uuid:object_id>/remove/": "apikeys.delete_role",
    },
    "django_otp_webauthn/webauthncredential/": a_section("accounts.view_user"),
    "entities/entity/": {**a_section("entities.view_entity"), "import/": "entities.import_pool_data"},
    "entities/hub/": {**a_section(**ENTITY), **TRANSFER},
    "entities/hubclient/": {
        **a_section(
            "entities.view_hubclient",
            add="entities.add_hubclient",
            change="entities.change_hubclient",
            delete="entities.delete_hubclient",
        ),
        "remove/": "entities.delete_hubclient",
    },
    "entities/hubinvitation/": a_section("entities.view_hubinvitation"),
    "entities/miner/": {**a_section(**ENTITY), **TRANSFER},
    "entities/pool/": {**a_section(**ENTITY), **TRANSFER},
}
#: Pages of the whole site. What stands in a section is the section's to ask for; this is who may come in at all.
SITE: dict[str, str | tuple[str, str]] = {
    "": STAFF,
    "jsi18n/": STAFF,
    "autocomplete/": ("accounts.view_user", STAFF),  # as AUTOCOMPLETE asks; POST is not allowed
    "<app_label>/": "accounts.view_account",  # as /admin/accounts/
    r"(?P<url>.*)$": STAFF,
}
#: They lead on to the web login and end the session: tests/accounts/test_admin_site.py.
IN_AND_OUT = {"login/", "logout/"}
AUTOCOMPLETE = "?app_label=accounts&model_name=membership&field_name=user"
TABLE = SITE | {section + route: takes for section, routes in SECTIONS.items() for route, takes in routes.items()}
#: section -> action of its list -> the permission that it takes
ACTIONS: dict[str, dict[str, str]] = {
    "entities/hubclient": {"remove_selected": "entities.delete_hubclient"},
    "apikeys/activekey": {
        "rotate_selected": "apikeys.rotate_apikey",
        "disable_selected": "apikeys.disable_apikey",
        "revoke_selected": "apikeys.revoke_apikey",
    },
}


def takes(route: str, method: str) -> str:
    rule = TABLE[route]
    return rule if isinstance(rule, str) else rule[method == "POST"]


def may(role: str, permission: str) -> bool:
    if permission == NOBODY or role in ("stranger", "owner"):
        return False
    return permission == STAFF or role == "superuser" or permission in GROUPS.get(role, ())


def end(client, method: str, path: str) -> str:
    """Where a request ends: in, refused, out (at the web login), or what it should never say."""
    answer = getattr(client, method.lower())(path)
    location = answer.headers.get("Location", "")
    if answer.status_code == 302 and location.startswith(("/sign-in/", "/admin/login/")):
        return "out"
    if answer.status_code == 403:
        return "refused"
    # The list of an application in which one sees nothing is not there; every page of the table is.
    if answer.status_code == 404 and path == "/admin/accounts/":
        return "refused"
    return "in" if answer.status_code < 500 else f"error {answer.status_code}"


pytestmark = pytest.mark.django_db


def test_every_route_stands_in_the_table():
    routes = set(admin_routes())
    assert routes - TABLE.keys() - IN_AND_OUT == set(), "These routes are not in the table."
    assert TABLE.keys() - routes == set(), "The table knows routes that are not there."


def test_every_page_of_our_own_names_the_permission_that_the_table_says():
    """Django's own routes are guarded in StaffModelAdmin.get_urls, all others by StaffModelAdmin.page."""
    stock = re.compile(r"_(changelist|add|history|delete|change)$")
    own = {
        route: getattr(pattern.callback, "permissions", ())
        for route, pattern in admin_routes().items()
        if route not in SITE.keys() | IN_AND_OUT and pattern.name and not stock.search(pattern.name)
    }
    assert len(own) >= 12
    assert {route: named for route, named in own.items() if not named} == {}, "These pages name no permission."
    for route, named in own.items():
        said = takes(route, "POST")
        assert named == (("accounts.change_user",) if said == "superuser" else (said,)), route


@pytest.mark.parametrize("role", ROLES)
def test_everybody_gets_what_the_table_says_and_no_more(role, world, monkeypatch):
    client, wrong = world.clients[role], []
    if role != "superuser":  # who sees every page filled in; for others it is whether they get one, and that is quick
        monkeypatch.setattr(TemplateResponse, "rendered_content", "")
    for route in TABLE:
        for method in ("GET", "POST"):
            path = world.address(route) + (AUTOCOMPLETE if route == "autocomplete/" else "")
            expected = "in" if may(role, takes(route, method)) else "refused"
            if role in ("stranger", "owner"):
                expected = "out"
            found = end(client, method, path)
            if found != expected:
                wrong.append(f"{method} {route}: {role} is {found}, the table says {expected} ({takes(route, method)})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ROLES[2:])
def test_the_menu_and_the_index_show_what_one_may_see_and_nothing_else(role, world):
    client = world.clients[role]
    page = client.get("/admin/")
    html = page.content.decode()
    for section, routes in SECTIONS.items():
        seen = may(role, str(routes[""])) and section != "entities/entity/"  # for autocomplete alone
        assert (f'href="/admin/{section}"' in html) == seen, section
        assert (f'href="/admin/{section}add/"' in html) == (seen and may(role, str(routes["add/"]))), section
    assert ("account.bootstrapped" in html) == may(role, "accounts.view_auditevent")


@pytest.mark.parametrize("role", ROLES[2:])
def test_lists_offer_each_role_its_actions_alone(role, world):
    request = RequestFactory().get("/")
    request.user = world.people[role]
    request.user.otp_device = TOTPDevice.objects.get(user=request.user)
    request.user.is_verified = lambda: True
    for section, model_admin in model_admins().items():
        expected = {action for action, takes in ACTIONS.get(section, {}).items() if may(role, takes)}
        assert model_admin.get_actions(request).keys() == expected, section


def test_an_action_that_is_not_offered_does_nothing(world):
    for section, row in world.rows.items():
        post = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        world.clients["support"].post(f"/admin/{section}/", post)
        assert type(row)._base_manager.filter(pk=row.pk).exists(), section


def test_support_disables_a_key_and_does_not_enable_it(world):
    client, url = world.clients["support"], f"/admin/apikeys/activekey/{world.key.pk}"
    assert client.post(f"{url}/disable/", {"note": "Stuck in a loop"}).status_code == 302
    assert ApiKey.objects.get(pk=world.key.pk).disabled_at is not None
    assert client.get(f"{url}/enable/").status_code == 403

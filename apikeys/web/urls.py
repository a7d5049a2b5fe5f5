from django.urls import path

from apikeys.web import (
    bootstrap,
    create,
    edit,
    explain,
    home,
    key,
    key_list,
    leaks,
    metrics,
    operations,
    policies,
    roles,
    signing_keys,
)

app_name = "web"

KEYS = "a/<slug:slug>/access/api-keys/"
ROLES = "a/<slug:slug>/access/roles/"
SETTINGS = "a/<slug:slug>/settings/"
SIGNING_KEYS = f"{SETTINGS}signing-keys/"

urlpatterns = [
    path("", home.home, name="home"),
    path("metrics", metrics.metrics_page, name="metrics"),
    path("report-leak/", leaks.report_leak, name="report-leak"),
    path("integrations/github/secret-scanning", leaks.github_secret_scanning, name="github-secret-scanning"),
    path(KEYS, key_list.key_list, name="key-list"),
    path(f"{KEYS}set-up/", bootstrap.set_up, name="key-set-up"),
    path(f"{KEYS}create/", create.create, name="key-create"),
    path(f"{KEYS}<slug:key_id>/", key.detail, name="key"),
    path(f"{KEYS}<slug:key_id>/edit/", edit.edit, name="key-edit"),
    path(f"{KEYS}<slug:key_id>/explain/", explain.explain, name="key-explain"),
    path(f"{KEYS}<slug:key_id>/rotate/", operations.rotate, name="key-rotate"),
    path(f"{KEYS}<slug:key_id>/regenerate/", operations.regenerate, name="key-regenerate"),
    path(f"{KEYS}<slug:key_id>/end-overlap/", operations.end_overlap, name="key-end-overlap"),
    path(f"{KEYS}<slug:key_id>/revoke/", operations.revoke, name="key-revoke"),
    path(f"{KEYS}<slug:key_id>/delete/", operations.delete, name="key-delete"),
    path(f"{KEYS}<slug:key_id>/disable/", operations.disable, name="key-disable"),
    path(f"{KEYS}<slug:key_id>/enable/", operations.enable, name="key-enable"),
    path(ROLES, roles.role_list, name="role-list"),
    path(f"{ROLES}create/", roles.create, name="role-create"),
    path(f"{ROLES}<uuid:role_id>/edit/", roles.edit, name="role-edit"),
    path(f"{ROLES}<uuid:role_id>/clone/", roles.clone, name="role-clone"),
    path(f"{ROLES}<uuid:role_id>/delete/", roles.delete, name="role-delete"),
    path(SETTINGS, policies.change, name="policies"),
    path(SIGNING_KEYS, signing_keys.version_list, name="signing-keys"),
    path(f"{SIGNING_KEYS}rotate/", signing_keys.rotate, name="signing-key-rotate"),
    path(f"{SIGNING_KEYS}<int:version>/retire/", signing_keys.retire, name="signing-key-retire"),
    path(f"{SIGNING_KEYS}<int:version>/retired/", signing_keys.retired, name="signing-key-retired"),
]

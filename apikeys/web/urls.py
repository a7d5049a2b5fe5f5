from django.urls import path

from apikeys.web import bootstrap, create, home, key, key_list, roles

app_name = "web"

KEYS = "a/<slug:slug>/access/api-keys/"
ROLES = "a/<slug:slug>/access/roles/"

urlpatterns = [
    path("", home.home, name="home"),
    path(KEYS, key_list.key_list, name="key-list"),
    path(f"{KEYS}set-up/", bootstrap.set_up, name="key-set-up"),
    path(f"{KEYS}create/", create.create, name="key-create"),
    path(f"{KEYS}<slug:key_id>/", key.detail, name="key"),
    path(f"{KEYS}<slug:key_id>/revoke/", key.revoke, name="key-revoke"),
    path(f"{KEYS}<slug:key_id>/disable/", key.disable, name="key-disable"),
    path(f"{KEYS}<slug:key_id>/enable/", key.enable, name="key-enable"),
    path(ROLES, roles.role_list, name="role-list"),
    path(f"{ROLES}create/", roles.create, name="role-create"),
    path(f"{ROLES}<uuid:role_id>/edit/", roles.edit, name="role-edit"),
    path(f"{ROLES}<uuid:role_id>/clone/", roles.clone, name="role-clone"),
    path(f"{ROLES}<uuid:role_id>/delete/", roles.delete, name="role-delete"),
]

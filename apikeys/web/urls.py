from django.urls import path

from apikeys.web import bootstrap, create, home, key, key_list

app_name = "web"

KEYS = "a/<slug:slug>/access/api-keys/"

urlpatterns = [
    path("", home.home, name="home"),
    path(KEYS, key_list.key_list, name="key-list"),
    path(f"{KEYS}set-up/", bootstrap.set_up, name="key-set-up"),
    path(f"{KEYS}create/", create.create, name="key-create"),
    path(f"{KEYS}<slug:key_id>/", key.detail, name="key"),
    path(f"{KEYS}<slug:key_id>/revoke/", key.revoke, name="key-revoke"),
    path(f"{KEYS}<slug:key_id>/disable/", key.disable, name="key-disable"),
    path(f"{KEYS}<slug:key_id>/enable/", key.enable, name="key-enable"),
]

"""The API's routes about keys themselves."""

from django.urls import path

from apikeys.api import whoami

urlpatterns = [
    path("key", whoami.WhoAmI.as_view(), name="api-key"),
    path("key/revoke", whoami.RevokeItself.as_view(), name="api-key-revoke"),
]

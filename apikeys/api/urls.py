"""The API's routes about keys themselves."""

from django.urls import path

from apikeys.api import keys, keys_operations, verify, whoami

urlpatterns = [
    path("key", whoami.WhoAmI.as_view(), name="api-key"),
    path("key/revoke", whoami.RevokeItself.as_view(), name="api-key-revoke"),
    path("keys", keys.KeyList.as_view(), name="api-keys"),
    path("keys/<str:key_id>", keys.KeyDetail.as_view(), name="api-keys-one"),
    path("keys/<str:key_id>/usage", keys.KeyUsage.as_view(), name="api-keys-usage"),
    path("keys/<str:key_id>/rotate", keys_operations.RotateKey.as_view(), name="api-keys-rotate"),
    path("keys/<str:key_id>/end-overlap", keys_operations.EndOverlap.as_view(), name="api-keys-end-overlap"),
    path("keys/<str:key_id>/regenerate", keys_operations.RegenerateKey.as_view(), name="api-keys-regenerate"),
    path("keys/<str:key_id>/disable", keys_operations.DisableKey.as_view(), name="api-keys-disable"),
    path("keys/<str:key_id>/enable", keys_operations.EnableKey.as_view(), name="api-keys-enable"),
    path("keys/<str:key_id>/revoke", keys_operations.RevokeKey.as_view(), name="api-keys-revoke"),
    path("verify", verify.Verify.as_view(), name="api-verify"),
]

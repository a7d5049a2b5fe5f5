"""The API's documentation."""

from django.urls import path

from apikeys.api import docs

urlpatterns = [
    path("", docs.docs, name="docs"),
    path("openapi.json", docs.openapi_json, name="openapi"),
]

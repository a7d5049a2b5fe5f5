"""The real routes, and one small endpoint twice: without authentication (the floor), and with a key."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.authentication import BearerAuthentication
from apikeys.permissions import GrantPermission
from config import urls

BODY = {"hashrate": "201.4", "unit": "TH/s", "workers": {"online": 12, "offline": 1}}


class Floor(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request: Request, environment: str) -> Response:
        return Response(BODY)


class WithKey(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [GrantPermission]
    permission = "stats:read"

    def get(self, request: Request, environment: str) -> Response:
        return Response(BODY)


routes = [path("floor", Floor.as_view()), path("key", WithKey.as_view())]
urlpatterns = [path("api/v1/bench/", include(routes), {"environment": "production"}), *urls.urlpatterns]
handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500

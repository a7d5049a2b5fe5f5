"""The API's description for people, as a page, and for programs, as OpenAPI."""

from __future__ import annotations

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from apikeys import openapi


# Swagger UI draws its arrows and ticks with images in its style sheet.
@csp_update({"img-src": ["data:"]})
@login_not_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "apikeys/docs.html")


@login_not_required
@cache_control(public=True, max_age=300)
@conditional_page
@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    return JsonResponse(openapi.document(), json_dumps_params={"ensure_ascii": False})

"""Where each face is mounted. Includes only."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("accounts.urls")),
    path("", include("apikeys.web.urls")),
    path("docs/", include("apikeys.api.docs_urls")),
    path("admin/", admin.site.urls),
]
for environment, mount in settings.PITHEAD_API_MOUNTS.items():
    routes = [path("", include("apikeys.api.urls")), path("", include("entities.api.urls"))]
    urlpatterns.append(path(mount, include(routes), {"environment": environment}))

handler400 = "accounts.views.errors.bad_request"
handler403 = "accounts.views.errors.permission_denied"
handler404 = "accounts.views.errors.not_found"
handler500 = "accounts.views.errors.server_error"

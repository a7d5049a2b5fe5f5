"""The server's entry point: production unless told otherwise, and it refuses to start misconfigured or restored."""

import logging
import os
from io import StringIO

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DEBUG", "False")

django_application = get_wsgi_application()
call_command("check", stdout=StringIO())  # raises on errors; nothing to say otherwise

# Needs Django's settings, which are there only now.
from apikeys.early_refusal import EarlyRefusal  # noqa: E402
from apikeys.gateway import Gateway  # noqa: E402
from apikeys.redaction import RedactKeys  # noqa: E402
from apikeys.restore_guard import RestoreGuard  # noqa: E402

# The server's own lines don't pass through Django's handlers: addresses of requests that fail, and an access log's.
for name in ("gunicorn.access", "gunicorn.error"):
    for handler in logging.getLogger(name).handlers:
        handler.addFilter(RedactKeys())

guarded = RestoreGuard(Gateway(django_application))
guarded.require_whole()
application = EarlyRefusal(guarded)  # what is no key needs no database to be refused

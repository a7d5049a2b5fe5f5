"""The server's entry point: production unless told otherwise, and it refuses to start misconfigured."""

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

application = EarlyRefusal(django_application)

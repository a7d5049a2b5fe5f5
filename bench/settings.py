"""The real settings with two more routes: `bench.urls`."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"

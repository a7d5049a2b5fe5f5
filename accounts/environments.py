"""The three environments, their key prefixes and their words."""

from django.db import models


class Environment(models.TextChoices):
    """Entities and keys of one environment never meet those of another."""

    PRODUCTION = "production", "Production"
    STAGING = "staging", "Staging"
    DEVELOPMENT = "development", "Development"

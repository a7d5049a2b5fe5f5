from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ApiKeysConfig(AppConfig):
    name = "apikeys"
    verbose_name = "API keys"

    def ready(self) -> None:
        from apikeys import checks, staff_groups  # noqa: F401 registers the system checks

        post_migrate.connect(staff_groups.ensure, sender=self, dispatch_uid="apikeys.staff_groups")

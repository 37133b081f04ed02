from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        """Forget what processes remember of small tables whenever Django emptied or changed them (flush, migrate)."""
        from billing.metering import access, names

        post_migrate.connect(lambda **kwargs: names.forget(), dispatch_uid="metering names", weak=False)
        post_migrate.connect(lambda **kwargs: access.forget(), dispatch_uid="metering keys", weak=False)

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        """Forget what processes remember of small tables whenever Django emptied or changed them (flush, migrate)."""
        post_migrate.connect(lambda **kwargs: self.forget(), dispatch_uid="metering names and keys", weak=False)

    @staticmethod
    def forget() -> None:
        """Forget what this process remembers of small tables."""
        from billing.metering import access, names

        names.forget()
        access.forget()

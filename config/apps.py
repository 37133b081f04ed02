"""The project's own app: no models; home of the demo, the system checks and the roles."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Meterbook"

    def ready(self) -> None:
        from config import checks  # noqa: F401  registers the system checks

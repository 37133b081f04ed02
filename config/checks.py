"""System checks: what a wrong set-up would break later, said at once."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import Error, register


@register()
def only_postgresql(app_configs: Any, **kwargs: Any) -> Sequence[Error]:
    """Meterbook's guards are PostgreSQL's (triggers, exclusion constraints, partitions): no other database will do."""
    engine = settings.DATABASES["default"]["ENGINE"]
    if engine in ("config.embedded", "django.db.backends.postgresql"):
        return []
    return [
        Error(
            f"DATABASE_URL names the engine {engine}; Meterbook runs on PostgreSQL only.",
            hint="Use postgres://user:password@host/name, or leave DATABASE_URL out for the embedded server.",
            id="meterbook.E001",
        )
    ]

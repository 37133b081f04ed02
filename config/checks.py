"""System checks: what a wrong set-up would break later, said at once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register

ENGINES = ("config.embedded", "django.db.backends.postgresql")
UNSENT = ("filebased", "console", "dummy", "locmem")
"""Django's own mail backends that send nothing."""


@register()
def only_postgresql(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Meterbook's guards are PostgreSQL's (triggers, exclusion constraints, partitions): no other database will do."""
    engine = settings.DATABASES["default"]["ENGINE"]
    if engine in ENGINES:
        return []
    return [
        Error(
            f"DATABASE_URL names the engine {engine}; Meterbook runs on PostgreSQL only.",
            hint="Use postgres://user:password@host/name, or leave DATABASE_URL out for the embedded server.",
            id="meterbook.E001",
        )
    ]


@register()
def time_zones_known(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Contracts are billed, and books are closed, at midnight of their own zones (R4.1, R7.5)."""
    if {"UTC", "America/New_York", "Europe/Berlin", "Asia/Tokyo"} <= available_timezones():
        return []
    return [
        Error(
            "This system has no time zone database: billing periods cannot be cut.",
            hint="Install the system's package tzdata, or the Python package of that name.",
            id="meterbook.E002",
        )
    ]


@register()
def task_answer_in_time(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """A task that is handed out again while it still runs would do its work twice at once."""
    timeout, retry = settings.Q_CLUSTER["timeout"], settings.Q_CLUSTER["retry"]
    if timeout is not None and timeout < retry:
        return []
    return [
        Error(
            f"Background tasks may run for {timeout} s but are handed out again after {retry} s.",
            hint="Set Q_CLUSTER's retry above its timeout.",
            id="meterbook.E003",
        )
    ]


@register(deploy=True)
def mail_is_sent(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Out of the box, mail is written to a folder, so that a try-out sends no invoice to anybody."""
    backend = settings.EMAIL_BACKEND
    if not any(backend.startswith(f"django.core.mail.backends.{name}.") for name in UNSENT):
        return []
    folder = f" It goes to {Path(settings.EMAIL_FILE_PATH)}." if "filebased" in backend else ""
    return [
        Info(
            f"No mail is sent: EMAIL_BACKEND is {backend}.{folder}",
            hint="Set EMAIL_BACKEND=django.core.mail.backends.smtp.EmailBackend and its EMAIL_HOST.",
            id="meterbook.I001",
        )
    ]

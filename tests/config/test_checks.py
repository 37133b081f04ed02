"""The system checks: each says what is wrong and the way out."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from config import checks


def found(deployment: bool = False) -> list[str]:
    """The ids of Meterbook's own messages."""
    messages = run_checks(include_deployment_checks=deployment)
    return sorted(message.id for message in messages if message.id and message.id.startswith("meterbook."))


def test_it_works() -> None:
    assert found() == []


def test_another_database_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    (message,) = checks.only_postgresql(None)
    assert message.id == "meterbook.E001"
    assert "sqlite3" in message.msg
    assert "leave DATABASE_URL out" in (message.hint or "")


def test_a_system_without_time_zones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_timezones", lambda: {"UTC"})
    assert found() == ["meterbook.E002"]


def test_a_task_must_not_be_handed_out_while_it_runs(settings: Settings) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "timeout": 900, "retry": 600}
    assert found() == ["meterbook.E003"]


def test_mail_to_a_folder_is_said_before_a_deployment(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    assert found(deployment=True) == ["meterbook.I001"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert found(deployment=True) == []

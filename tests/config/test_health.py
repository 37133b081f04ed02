"""The health check, on a server that lives and on one that does not."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.utils import ConnectionHandler
from django.test import RequestFactory

from config import health
from config.embedded import server


def connection_to(data: Path | str, engine: str = "config.embedded") -> Any:
    place = {"OPTIONS": {"embedded": data}} if engine == "config.embedded" else {"HOST": str(data)}
    settings = {"ENGINE": engine, "NAME": "postgres", **place}
    return ConnectionHandler({"default": {}, NO_DB_ALIAS: settings})[NO_DB_ALIAS]  # see connect() in test_embedded


def test_it_works(monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, django_db_blocker.unblock():
        data = Path(folder, "postgres")
        monkeypatch.setattr(health, "connection", connection_to(data))
        try:
            response = health.healthz(RequestFactory().get("/healthz"))
            version = health.connection.pg_version
        finally:
            health.connection.close()
            server.leave(data)
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": "ok", "database": f"{version // 10_000}.{version % 10_000}"}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("engine", ["django.db.backends.postgresql", "config.embedded"])
def test_no_database_is_said_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any, engine: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(health, "connection", connection_to(tmp_path / "file" / "postgres", engine))
    with django_db_blocker.unblock():
        response = health.healthz(RequestFactory().get("/healthz"))
    assert response.status_code == 503
    assert json.loads(response.content) == {"status": "database unavailable"}


def test_it_only_reads() -> None:
    assert health.healthz(RequestFactory().post("/healthz")).status_code == 405

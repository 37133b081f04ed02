"""The health check, on a server that lives and on one that does not."""

import json
from pathlib import Path

import pytest
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.utils import ConnectionHandler
from django.test import RequestFactory

from config import health
from config.embedded import server
from tests.config.helper import connect


def test_it_works(data: Path, monkeypatch: pytest.MonkeyPatch, unblocked: None) -> None:
    connection = connect(data)
    monkeypatch.setattr(health, "connection", connection)
    try:
        response = health.healthz(RequestFactory().get("/healthz"))
        major, minor = divmod(connection.pg_version, 10_000)
    finally:
        connection.close()
        server.leave(data)
    assert response.status_code == 200
    assert json.loads(response.content) == {"status": "ok", "database": f"{major}.{minor}"}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("embedded", [True, False])
def test_no_database_is_said_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unblocked: None, embedded: bool
) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "postgres"
    other = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "HOST": str(nowhere)}
    connection = connect(nowhere) if embedded else ConnectionHandler({"default": {}, NO_DB_ALIAS: other})[NO_DB_ALIAS]
    monkeypatch.setattr(health, "connection", connection)
    response = health.healthz(RequestFactory().get("/healthz"))
    assert response.status_code == 503
    assert json.loads(response.content) == {"status": "database unavailable"}


def test_it_only_reads() -> None:
    assert health.healthz(RequestFactory().post("/healthz")).status_code == 405

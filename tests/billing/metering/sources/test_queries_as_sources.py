"""Rows of an SQL query are fetched from another database, behind a position that commits with them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection

from billing.metering import csv_import
from billing.metering.models import Event
from billing.metering.sources import addresses, leases
from billing.metering.sources.errors import RefusedAddress, UnsetVariable
from billing.metering.sources.models import PullSource
from tests.billing.metering.sources.helpers import MAPPING, counts, make_source, pull, tokens

pytestmark = pytest.mark.django_db
REST = "now() AS time, 'acme' AS customer, 1 AS tokens WHERE :position::text <> '' ORDER BY 1"
QUERY = "SELECT id, at AS time, customer, tokens FROM calls WHERE id > :position ORDER BY id"
SQL_MAPPING = MAPPING | {
    "columns": {"time": "time", "subject": "customer", "id": "id"},
    "ids": "column",
    "source": "crm",
}


@pytest.fixture(scope="session")
def other_database(django_db_setup: None) -> Iterator[dict[str, Any]]:
    """Another database on the test's server, by its connection parameters.

    Made once, since the server writes everything to disk before it drops one.
    """
    given = connection.get_connection_params()
    keys = {key: given[key] for key in ("host", "port", "user", "password") if given.get(key)}
    name = f"other_{given['dbname']}"
    with psycopg.connect(**keys, dbname=given["dbname"], autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}"')
    yield keys | {"dbname": name}
    with psycopg.connect(**keys, dbname=given["dbname"], autocommit=True) as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def other(other_database: dict[str, Any], db: None) -> Iterator[Any]:
    """A connection to the other database, with a table of calls; the address is in `other.address`."""
    where = "&".join(
        f"{key}={quote(str(other_database[key]), safe='')}" for key in ("host", "port") if key in other_database
    )
    user = quote(str(other_database.get("user", "postgres")))
    with psycopg.connect(**other_database, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS calls")
        database.execute(
            "CREATE TABLE calls (id bigserial PRIMARY KEY, at timestamptz, customer text, tokens numeric, step int)"
        )
        database.address = f"postgres://{user}@/{other_database['dbname']}?{where}"  # type: ignore[attr-defined]
        yield database


def add(other: Any, *numbers: int, step: int | None = None) -> None:
    for number in numbers:
        other.execute(
            "INSERT INTO calls (id, at, customer, tokens, step) VALUES (%s, %s, 'acme', %s, %s)",
            [number, datetime(2026, 2, 1, 0, 0, number % 60, tzinfo=UTC), number, step if step is not None else number],
        )


def make(other: Any, query: str = QUERY, **fields: Any) -> PullSource:
    defaults = {"kind": "sql", "query": query, "cursor_column": "id", "position": "0", "mapping": SQL_MAPPING}
    return make_source(other.address, **(defaults | fields))


def test_it_works(other: Any) -> None:
    add(other, 1, 2, 3)
    source = make(other)
    assert counts(pull(source)) == (3, 3, 0, 0, 0)
    assert source.position == "3"
    add(other, 4, 5)
    assert counts(pull(source)) == (2, 2, 0, 0, 0)
    assert counts(pull(source)) == (0, 0, 0, 0, 0)
    assert tokens() == [1, 2, 3, 4, 5]


def test_numbers_and_times_come_exactly(other: Any) -> None:
    other.execute(
        "INSERT INTO calls (at, customer, tokens) VALUES"
        " ('2026-02-01 05:45:00.123456+05:45', 'acme', 123456789012345678.000000000000000001)"
    )
    pull(make(other))
    event = Event.objects.get()
    assert event.ts == datetime(2026, 2, 1, 0, 0, 0, 123456, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data ->> 'tokens' FROM metering_event")
        assert cursor.fetchone() == ("123456789012345678.000000000000000001",)


def test_a_run_that_dies_leaves_events_and_position_together(other: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_import, "BATCH", 2)
    add(other, *range(1, 8))
    source = make(other)
    renew, positions = leases.renew, []

    def dying(*args: Any, **changes: Any) -> None:
        renew(*args, **changes)
        positions.append(changes.get("position"))
        if positions[-1] == "4":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(leases, "renew", dying)
        with pytest.raises(KeyboardInterrupt):
            pull(source)
    source.refresh_from_db()
    assert (source.position, tokens()) == ("2", [1, 2])
    PullSource.objects.update(lease=None)
    assert counts(pull(source)) == (5, 5, 0, 0, 0)
    assert tokens() == [1, 2, 3, 4, 5, 6, 7]


def test_rows_that_share_a_position_are_one_step(other: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(csv_import, "BATCH", 2)
    add(other, 1, step=1)
    add(other, 2, 3, 4, step=2)
    source = make(
        other, "SELECT *, at AS time FROM calls WHERE step > :position ORDER BY step", cursor_column="step",
    )  # fmt: skip
    calls: list[bool] = []

    def after_the_first_batch() -> bool:
        calls.append(True)
        return True

    monkeypatch.setattr("billing.metering.sources.uploading.Pause.rows", _two_rows)
    pull(source, time_is_up=after_the_first_batch)
    assert (source.position, tokens()) == ("1", [1, 2])
    monkeypatch.undo()
    assert counts(pull(source)) == (3, 2, 1, 0, 0)
    assert source.position == "2"


def _two_rows(self: Any, rows: Any, first: int = 1) -> Any:
    """A stretch that ends after two rows."""
    yield next(rows)
    yield next(rows)
    self.cut = True


def test_a_query_that_overlaps_counts_nothing_twice(other: Any) -> None:
    add(other, 1, 2, 4)
    source = make(other, "SELECT *, at AS time FROM calls WHERE id > :position::int - 10 ORDER BY id")
    pull(source)
    add(other, 3)  # its transaction was slower
    assert counts(pull(source)) == (4, 1, 3, 0, 0)
    assert tokens() == [1, 2, 3, 4]


def test_a_dry_run_leaves_the_position(other: Any) -> None:
    add(other, 1, 2)
    source = make(other)
    assert counts(pull(source, dry_run=True)) == (2, 2, 0, 0, 0)
    assert (source.position, tokens()) == ("0", [])


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (f"SELECT nextval('calls_id_seq') AS id, {REST}", "cannot execute nextval() in a read-only"),
        (f"SELECT 1 AS id, pg_sleep(9), {REST}", "statement timeout"),
        ("SELEC :position ORDER BY 1", "The query does not work: syntax error"),
        ("SELECT id FROM calls WHERE id > :position ORDER BY id; DROP TABLE calls", "cannot insert multiple commands"),
        ("SELECT tokens FROM calls WHERE id > :position ORDER BY id", "returns no column 'id'"),
        (
            "SELECT id, at AS time, customer, tokens FROM calls WHERE id > :position ORDER BY id DESC",
            "not come in order",
        ),
        ("SELECT id FROM calls ORDER BY id", "never says :position"),
        ("SELECT id FROM calls WHERE id > :position", "has no ORDER BY"),
    ],
)
def test_a_query_that_may_not_or_cannot_be_asked_is_said_why(
    other: Any, query: str, sentence: str, settings: Any
) -> None:
    settings.METERBOOK_PULL_TIMEOUT_SECONDS = 1
    add(other, 1, 2)
    assert sentence in pull(make(other, query)).error
    assert other.execute("SELECT count(*) FROM calls").fetchone() == (2,)


def test_per_cents_and_casts_in_a_query_mean_what_they_say() -> None:
    assert addresses.with_parameter("SELECT 'a%' , x::position FROM t WHERE x LIKE 'b%s' AND i > :position;") == (
        "SELECT 'a%%' , x::position FROM t WHERE x LIKE 'b%%s' AND i > %(position)s"
    )


def test_a_secret_comes_from_the_environment_and_is_never_shown(other: Any) -> None:
    source = make(other)
    source.address = "postgres://reader:${PULL_PASSWORD}@127.0.0.1:1/crm?application_name=${PULL_PASSWORD}"
    source.save()
    error = pull(source, environ={"PULL_PASSWORD": "hush-hush"}).error
    assert "does not answer" in error
    assert "hush-hush" not in json.dumps([error, source.last_error])
    assert "environment variable PULL_PASSWORD is not set" in pull(source).error


def test_only_variables_made_for_it_can_be_named() -> None:
    secrets = addresses.Secrets({"SECRET_KEY": "x", "PULL_KEY": "y"})
    with pytest.raises(RefusedAddress, match="only environment variables named PULL_…"):
        secrets.fill("sftp://${SECRET_KEY}@example.com/")
    with pytest.raises(UnsetVariable, match="PULL_OTHER is not set"):
        secrets.fill_all({"key": ["${PULL_OTHER}"]})
    assert secrets.fill_all({"key": {"a": "${PULL_KEY}", "n": 1}}) == {"key": {"a": "y", "n": 1}}
    assert secrets.hide("said y") == "said ${PULL_KEY}"


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("postgres://me:hush@host/db", {}),
        ("sftp://me:hush${PULL_X}@host/folder", {}),
        ("postgres://host/db?password=hush", {}),
        ("s3://bucket", {"secret": "hush"}),
        ("s3://bucket", {"client_kwargs": {"aws_access_key_id": "hush"}}),
        ("s3://bucket", {"key": "${HOME}"}),
    ],
)  # fmt: skip
def test_a_secret_that_is_written_out_is_refused(address: str, options: Any) -> None:
    with pytest.raises(RefusedAddress):
        addresses.check_secrets(address, options)


def test_addresses_without_secrets_are_fine() -> None:
    addresses.check_secrets("postgres://me:${PULL_PASSWORD}@host/db?sslmode=require", {})
    addresses.check_secrets("sftp://me@host/folder", {"key_filename": "/keys/id", "password": "${PULL_P}"})
    addresses.check_secrets("s3://bucket/*.csv", {"anon": True, "client_kwargs": {"endpoint_url": "http://minio:9000"}})

"""`GET /api/v1/usage`: periods, windows, dimensions and zones, and what is said about a wrong parameter."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.metering import access
from billing.metering.services import create_api_key
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 1, tzinfo=UTC)
MARCH = {"customer": "acme", "meter": "tokens", "start": "2026-03-01", "end": "2026-04-01"}


@pytest.fixture
def secret() -> str:
    factories.make_meter()
    factories.make_customer("acme", timezone="Asia/Kathmandu")
    factories.make_customer("other")
    return create_api_key(name="reader", default_source="app", user=None, now=NOW, scopes=["read"])[1]


def record(*events: tuple[str, Any]) -> None:
    rows = [{"subject": "acme", "time": time, "data": data} for time, data in events]
    assert factories.send_events(rows, now=NOW).accepted == len(rows)


def get(secret: str | None, **parameters: Any) -> Any:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return Client().get("/api/v1/usage", parameters, headers=headers)


def rows(secret: str, **parameters: Any) -> list[tuple[Any, ...]]:
    found = get(secret, **MARCH | parameters).json()["rows"]
    return [(row["start"], row["end"], *row["dimensions"].values(), row["quantity"], row["events"]) for row in found]


def test_it_works(secret: str) -> None:
    record(("2026-03-05T00:00:00Z", {"tokens": "0.1"}), ("2026-03-06T00:00:00Z", {"tokens": 12345678901234567.5}))
    record(("2026-03-07T00:00:00Z", {"tokens": "many"}))
    answer = get(secret, **MARCH)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() | {"rows": None} == {
        "customer": "acme", "meter": "tokens", "aggregation": "sum", "unit": "token",
        "start": "2026-02-28T18:15:00Z", "end": "2026-03-31T18:15:00Z", "timezone": "Asia/Kathmandu",
        "window": None, "group_by": [], "rows": None,
    }  # fmt: skip
    (row,) = answer.json()["rows"]
    assert (row["start"], row["end"]) == ("2026-02-28T18:15:00Z", "2026-03-31T18:15:00Z")
    assert (row["quantity"], row["events"], row["invalid"]) == ("12345678901234568.1", 2, 1)


def test_no_events_are_a_quantity_of_zero(secret: str) -> None:
    assert rows(secret) == [("2026-02-28T18:15:00Z", "2026-03-31T18:15:00Z", "0", 0)]
    assert rows(secret, customer="other", window="day") == []


def test_windows_are_those_of_the_customer_s_calendar(secret: str) -> None:
    record(("2026-03-04T18:14:59Z", {"tokens": 1}), ("2026-03-04T18:15:00Z", {"tokens": 2}))
    assert rows(secret, window="day") == [
        ("2026-03-03T18:15:00Z", "2026-03-04T18:15:00Z", "1", 1),
        ("2026-03-04T18:15:00Z", "2026-03-05T18:15:00Z", "2", 1),
    ]
    assert rows(secret, window="day", timezone="UTC") == [("2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z", "3", 2)]
    assert rows(secret, window="hour")[0][:2] == ("2026-03-04T17:15:00Z", "2026-03-04T18:15:00Z")
    assert rows(secret, window="month") == [("2026-02-28T18:15:00Z", "2026-03-31T18:15:00Z", "3", 2)]
    assert len(rows(secret, window="week")) == 1


def test_usage_is_broken_down_by_properties(secret: str) -> None:
    for model, tokens in (("large", 5), ("large", 1), ("small", 2)):
        record(("2026-03-05T00:00:00Z", {"tokens": tokens, "model": model, "at": {"region": "eu"}}))
    found = get(secret, **MARCH | {"group_by": ["model", "at.region"]}).json()
    assert found["group_by"] == ["model", "at.region"]
    assert [(row["dimensions"], row["quantity"]) for row in found["rows"]] == [
        ({"model": "large", "at.region": "eu"}, "6"),
        ({"model": "small", "at.region": "eu"}, "2"),
    ]
    assert get(secret, **MARCH | {"group_by": "model, at.region"}).json()["rows"] == found["rows"]
    assert rows(secret, group_by="nothing")[0][2:] == (None, "8", 3)


def test_a_period_may_be_instants(secret: str) -> None:
    record(("2026-03-05T12:00:00Z", {"tokens": 1}))
    assert rows(secret, start="2026-03-05T13:00:00+01:00", end="2026-03-05T12:00:00.000001Z")[0][2:] == ("1", 1)
    assert rows(secret, start="2026-03-05T13:00:00 01:00", end="2026-03-06")[0][2:] == ("1", 1)  # plus is a space
    assert rows(secret, start="2026-03-01", end="2026-03-05T12:00:00Z")[0][2:] == ("0", 0)


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"customer": "nobody"}, 404, "unknown_customer"),
        ({"meter": "nothing"}, 404, "unknown_meter"),
        ({"customer": ""}, 400, "missing_customer"),
        ({"start": "yesterday"}, 400, "invalid_start"),
        ({"start": "2026-02-30"}, 400, "invalid_start"),
        ({"start": "2026-03-01T00:00:00"}, 400, "invalid_start"),
        ({"start": "0001-01-01"}, 400, "invalid_start"),
        ({"end": "9999-12-31"}, 400, "invalid_end"),
        ({"end": "2026-03-01"}, 400, "invalid_period"),
        ({"window": "year"}, 400, "invalid_window"),
        ({"window": "hour", "start": "2020-01-01"}, 400, "too_many_windows"),
        ({"timezone": "Mars"}, 400, "unknown_timezone"),
        ({"timezone": "../../etc/passwd"}, 400, "unknown_timezone"),
        ({"group_by": "a,b,c,d,e,f"}, 400, "too_many_dimensions"),
        ({"group_by": "a..b"}, 400, "invalid_group_by"),
        ({"group_by": "a\0"}, 400, "nul_character"),
        ({"customer": "a\0"}, 400, "nul_character"),
        ({"groupby": "model"}, 400, "unknown_parameter"),
        ({"meter": ["tokens", "tokens"]}, 400, "repeated_parameter"),
    ],
)
def test_a_wrong_parameter_is_named(secret: str, wrong: dict[str, Any], status: int, code: str) -> None:
    answer = get(secret, **MARCH | wrong)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].endswith(".")


def test_usage_needs_a_key_that_may_read(secret: str) -> None:
    assert get(None, **MARCH).status_code == 401
    ingest = create_api_key(name="app", default_source="app", user=None, now=NOW)[1]
    answer = get(ingest, **MARCH)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


def test_queries_grow_with_nothing(secret: str) -> None:
    def count(**parameters: Any) -> int:
        access.forget()
        with CaptureQueriesContext(connection) as captured:
            assert get(secret, **MARCH | parameters).status_code == 200
        return len(captured)

    record(("2026-03-01T00:00:00Z", {"tokens": 1}))
    count(window="day", group_by="model")  # the first use of a key is written down
    few = count(window="day", group_by="model")
    record(*((f"2026-03-{day:02}T00:00:00Z", {"tokens": day}) for day in range(1, 30)))
    assert count(window="day", group_by="model") == few


@pytest.mark.django_db(transaction=True)
def test_the_database_away_is_said(secret: str) -> None:
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "a_database_that_is_away"
    access.forget()
    try:
        answer = get(secret, **MARCH)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")

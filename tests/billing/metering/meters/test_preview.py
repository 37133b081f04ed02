"""The latest events of a type are found wherever they lie, and each is told what it would count or why not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from billing.metering.corrections.models import Correction
from billing.metering.definitions import parse_meter
from billing.metering.errors import PreviewTooSlow
from billing.metering.meters import samples
from billing.metering.meters.preview import TAKEN_BACK, Share, properties, shares, try_meter
from billing.metering.meters.samples import claimants, known_types, latest_of
from tests import factories

pytestmark = pytest.mark.django_db
START = datetime(2023, 12, 30, tzinfo=UTC)


def send(*data: dict[str, Any], subject: str = "acme", type_: str = "call", start: datetime = START) -> None:
    """An event each for the data, a minute after another."""
    factories.send_events(
        {"subject": subject, "type": type_, "time": (start + timedelta(minutes=place)).isoformat(), "data": each}
        for place, each in enumerate(data)
    )


def test_it_works() -> None:
    factories.make_customer("acme", legal_name="Acme Inc.")
    send({"n": 2, "region": "eu"}, {"n": "x", "region": "eu"}, {"n": 5, "region": "us"}, {"n": 4.5, "region": "eu"})
    send({"n": 1, "region": "eu"}, subject="stranger", start=START - timedelta(days=40))
    meter = parse_meter({"aggregation": "sum", "value": "2 * n", "filters": {"region": "eu"}, "group_by": ["region"]})
    events = latest_of("call")
    tried = try_meter(meter, events, claimants(events))
    assert [(each.value, each.reason, each.customer, each.dimensions) for each in tried] == [
        ("9", "", "Acme Inc.", ("eu",)),
        (None, "It does not pass the filter on region.", "Acme Inc.", ()),
        (None, "The property n is not a number of at most 40 digits.", "Acme Inc.", ()),
        ("4", "", "Acme Inc.", ("eu",)),
        ("2", "", None, ("eu",)),
    ]
    assert shares(meter, tried) == [Share("Acme Inc.", Decimal(13), 2), Share(None, Decimal(2), 1)]


def test_numbers_are_exact_and_properties_are_listed_with_an_example() -> None:
    send({"n": 12345678901234567}, {"usage": {"n": "1.5"}, "list": [1], "none": None, "flag": True})
    events = latest_of("call")
    assert events[1].data == {"n": 12345678901234567}
    assert properties(events) == {"flag": "True", "n": "12345678901234567", "usage.n": "1.5"}


def test_the_latest_hundred_are_shown_newest_first() -> None:
    send(*({"n": number} for number in range(130)))
    send(*({"n": -1} for _ in range(5)), type_="other", start=START + timedelta(days=1))
    assert [event.data["n"] for event in latest_of("call")] == list(range(129, 29, -1))
    assert latest_of("unknown") == []
    assert known_types() == ["call", "other"]


def test_a_rare_type_is_found_by_its_days(monkeypatch: pytest.MonkeyPatch) -> None:
    send({"n": 1}, {"n": 2}, type_="rare", start=START - timedelta(days=9))
    send(*({"n": 0, "pad": "x" * 1500} for _ in range(60)))
    monkeypatch.setattr(samples, "_PAGES", (1, 2))
    assert latest_of("rare") == []
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO metering_activity (type_id, subject_id, day, n, first_ts, last_ts, position)
               SELECT type_id, subject_id, min(ts)::date, count(*), min(ts), max(ts), 1
               FROM metering_event GROUP BY type_id, subject_id"""
        )
    assert [event.data["n"] for event in latest_of("rare")] == [2, 1]


def test_an_event_that_was_taken_back_does_not_count() -> None:
    send({"n": 1}, {"n": 2})
    void = Correction.objects.create(kind="void", reason="Sent twice", created_at=START, batch=0, events=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metering_voided (batch, n, correction_id) SELECT batch, n, %s FROM metering_event WHERE n = 1",
            [void.pk],
        )
    meter = parse_meter({"aggregation": "count"})
    tried = try_meter(meter, latest_of("call"), lambda event: event.subject)
    assert sorted((each.counted, each.reason) for each in tried) == [(False, TAKEN_BACK), (True, "")]
    assert shares(meter, tried) == [Share("acme", Decimal(1), 1)]


def test_what_takes_too_long_is_given_up_and_the_limit_is_taken_off_again(monkeypatch: pytest.MonkeyPatch) -> None:
    send({"n": 1})
    monkeypatch.setattr(samples, "_COLUMNS", f"pg_sleep(1), {samples._COLUMNS}")
    monkeypatch.setattr(samples, "MILLISECONDS", 50)
    with pytest.raises(PreviewTooSlow, match="were not found in time"):
        latest_of("call")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == ("0",)

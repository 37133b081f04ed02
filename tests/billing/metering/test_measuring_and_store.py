"""The plain computation and the store agree on what a meter counts and for what reasons it does not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from billing.metering import listing, store
from billing.metering.asking import BEGINNING, Request
from billing.metering.definitions import parse_meter
from billing.metering.measuring import MeasuredEvent, measure
from billing.metering.models import Meter
from billing.metering.services import ingest
from billing.metering.validate import new_event
from billing.periods import Period

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
VALUES: list[Any] = [
    0, 5, -3, Decimal("5.0"), Decimal("0.1"), Decimal("1e39"), Decimal("1e-40"), "0.75", "+5", "-.5", "7.", "1e3",
    "1e-41", "five", "", " 1", "NaN", "Infinity", "9" * 41, True, False, None, [1], {"m": 1},
]  # fmt: skip
REGIONS: list[Any] = ["eu", "us", "asia", 1, Decimal("1.0"), "1", True, None]
FILTERS: list[dict[str, Any]] = [{}, {"region": ["eu", "us"]}, {"region": 1}, {"region": [True, "1"], "n": [5, "+5"]}]


def some_events(random: Random) -> list[MeasuredEvent]:
    """Events in and around March, with good values, bad ones and none."""
    events = []
    for place in range(150):
        data = {"n": random.choice(VALUES), "usage": {"n": random.choice(VALUES)}, "region": random.choice(REGIONS)}
        for key in [key for key in data if random.random() < 0.1]:
            del data[key]
        time = MARCH.start + timedelta(hours=random.randint(-48, 33 * 24))
        events.append(MeasuredEvent(str(place), time, data))
    return events


def record(events: list[MeasuredEvent]) -> None:
    sent = [
        new_event(id=str(event.id), type="call", subject="acme", data=event.data, time=event.time) for event in events
    ]
    assert ingest(events=sent, origin="test", default_source="app", now=NOW).accepted == len(events)


def some_meters() -> list[dict[str, Any]]:
    """Definitions of meters that can be saved, with every filter."""
    return [
        {"aggregation": aggregation, "filters": filters} | ({"value": value} if value else {})
        for aggregation in ("count", "sum", "max", "unique_count")
        for filters in FILTERS
        for value in ([""] if aggregation == "count" else ["n", "usage.n"])
    ]


def by_sql(definition: dict[str, Any]) -> tuple[Decimal, int, dict[str, str]]:
    """Quantity, number of events, and invalid events with their reasons."""
    meter = Meter(code="m", name="m", event_type="call", **definition)
    request = Request(1, (("acme", Period(BEGINNING, None)),), MARCH)
    found = store.quantities(meter, [request])[1]
    problems = {each.id: each.problem for each in listing.events_of(meter, request, limit=1000) if each.problem}
    assert len(problems) == found.invalid
    return found.value, found.events, problems


def plainly(definition: dict[str, Any], events: list[MeasuredEvent]) -> tuple[Decimal, int, dict[str, str]]:
    """The same, computed without a database."""
    found = measure(meter=parse_meter(definition), events=events, period=MARCH, full=MARCH, timezone="UTC")
    reasons = {str(fate.id): fate.reason or "" for fate in found.fates}
    problems = {id_: why.removeprefix("invalid: ") for id_, why in reasons.items() if why.startswith("invalid: ")}
    return found.quantity, sum(fate.counted for fate in found.fates), problems


def test_it_works() -> None:
    events = [MeasuredEvent("a", MARCH.start, {"n": 5})]
    record(events)
    definition = {"aggregation": "sum", "value": "n"}
    assert by_sql(definition) == plainly(definition, events) == (Decimal(5), 1, {})


@pytest.mark.parametrize("seed", range(4))
def test_both_count_the_same_and_for_the_same_reasons(seed: int) -> None:
    events = some_events(Random(seed))
    record(events)
    for definition in some_meters():
        assert by_sql(definition) == plainly(definition, events), definition

"""Days that are over for a while are put together by thirds of a month, which steps keep from then on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from billing.metering import store
from billing.metering.asking import BEGINNING, Request
from billing.metering.corrections import services as corrections
from billing.metering.corrections.criteria import Criteria
from billing.metering.models import Meter
from billing.metering.rollups import services
from billing.metering.rollups.models import DayCount, DekadCount
from billing.metering.services import ingest
from billing.metering.validate import new_event
from billing.periods import Period
from tests.billing.metering.rollups.histories import History, make_meters

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
LATER = datetime(2026, 4, 3, tzinfo=UTC)


def make_meter(**more: Any) -> Meter:
    fields = {"aggregation": "sum", "value": "n"} | more
    return Meter.objects.create(code="m", name="m", event_type="call", **fields)


def send(*days: int, prefix: str = "e") -> None:
    """An event of 1 on each of these days of March, with one of two values of a dimension."""
    events = [
        new_event(id=f"{prefix}{day}", type="call", subject="a", time=START + timedelta(days=day - 1, hours=5),
                  data={"n": 1, "kind": f"k{day % 2}"})
        for day in days
    ]  # fmt: skip
    ingest(events=events, origin="test", default_source="app", now=LATER)


def march(meter: Meter) -> Decimal:
    meter.refresh_from_db()
    return store.quantities(meter, [Request(1, (("a", Period(BEGINNING, None)),), Period(START, APRIL))])[1].value


def dekads() -> list[tuple[int, int, Decimal | None]]:
    rows = DekadCount.objects.order_by("bucket").values_list("bucket", "n", "total")
    return [(bucket.day, n, total) for bucket, n, total in rows]


@pytest.mark.parametrize("group_by", [[], ["kind"]])
def test_it_works(group_by: list[str]) -> None:
    """A month is answered from its three dekads."""
    meter = make_meter(group_by=group_by)
    send(1, 10, 11, 20, 21, 31)
    services.catch_up()
    assert services.settle(now=LATER) == 1
    assert dekads() == [(1, 2, 2), (11, 2, 2), (21, 2, 2)]
    assert march(meter) == 6
    DekadCount.objects.filter(bucket=START).update(total=9)
    assert march(meter) == 13
    assert services.settle(now=LATER) == 0


def test_what_comes_late_is_added_to_its_dekad() -> None:
    meter = make_meter()
    send(1, 2)
    services.catch_up()
    services.settle(now=LATER)
    send(3, 30, prefix="late")
    assert march(meter) == 4
    services.catch_up()
    assert dekads() == [(1, 3, 3), (21, 1, 1)]
    assert march(meter) == 4


def test_a_correction_counts_its_dekad_anew() -> None:
    meter = make_meter()
    send(1, 2, 12)
    services.catch_up()
    services.settle(now=LATER)
    corrections.void(criteria=Criteria(ids=("e2", "e12"), source="app"), reason="wrong", user=None, now=LATER)
    services.catch_up()
    assert dekads() == [(1, 1, 1)]
    assert march(meter) == 1


def test_the_running_dekad_and_the_day_after_the_last_one_are_left_alone() -> None:
    make_meter()
    send(1, 15)
    services.catch_up()
    services.settle(now=START + timedelta(days=10, hours=23))
    assert dekads() == []
    services.settle(now=START + timedelta(days=11))
    assert dekads() == [(1, 1, 1)]


def test_another_definition_begins_without_dekads() -> None:
    """Those of the old one are cleared with the rest of its rollup."""
    meter = make_meter()
    send(1)
    services.catch_up()
    services.settle(now=LATER)
    Meter.objects.filter(pk=meter.pk).update(value="n + 1")
    services.catch_up()
    assert march(meter) == 2
    assert meter.settled is None
    services.clear_unused()
    assert dekads() == []


def test_an_answer_that_relies_on_dekads_never_loses_them() -> None:
    """Whoever read the meter before may ask with what they read."""
    meter = make_meter()
    send(1)
    services.catch_up()
    services.settle(now=LATER)
    Meter.objects.filter(pk=meter.pk).update(settled=None)
    meter.refresh_from_db()
    assert meter.settled == APRIL


def test_dekads_are_what_their_days_come_to() -> None:
    """Whatever happened before and after they were made."""
    history = History(Random(11))
    make_meters()
    for _ in range(60):
        history.happen()
    services.catch_up()
    services.settle(now=datetime(2026, 6, 1, tzinfo=UTC))
    kept = sorted(map(repr, _rows()))
    assert len(kept) > 10
    with transaction.atomic():
        DekadCount.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE billing_meter DISABLE TRIGGER USER; UPDATE billing_meter SET settled = NULL")
            cursor.execute("ALTER TABLE billing_meter ENABLE TRIGGER USER")
        services.settle(now=datetime(2026, 6, 1, tzinfo=UTC))
    assert sorted(map(repr, _rows())) == kept
    assert not DekadCount.objects.exclude(dims=UUID(int=0)).exists()
    assert DayCount.objects.count() > DekadCount.objects.count()


def _rows() -> list[tuple[Any, ...]]:
    names = ("rollup", "subject_id", "bucket", "n", "invalid", "total", "moment", "value", "at", "at_batch", "at_n")
    return list(DekadCount.objects.values_list(*names))

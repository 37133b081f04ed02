"""Days of a meter with dimensions have a total: kept by steps, filled in by the migration, never left behind."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction

from billing.metering import store
from billing.metering.asking import BEGINNING, Request
from billing.metering.models import Meter
from billing.metering.rollups import models, services
from billing.metering.services import ingest
from billing.metering.validate import new_event
from billing.periods import Period
from tests.billing.metering.rollups.histories import History, make_meters

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, tzinfo=UTC)
MARCH = Period(START, START + timedelta(days=31))
(MIGRATION,) = (Path(models.__file__).parents[2] / "migrations").glob("*_totals.py")


def rows(table: str) -> list[tuple[Any, ...]]:
    """The totals that a table holds."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT t.*::text FROM {table} t WHERE rollup < 0 ORDER BY 1")
        return cursor.fetchall()


def call(name: str, subject: str = "a", day: int = 2, **data: Any) -> Any:
    return new_event(id=name, type="call", subject=subject, data=data, time=START + timedelta(days=day))


def march(meter: Meter) -> Decimal:
    """The quantity of subject a in March."""
    meter.refresh_from_db()
    return store.quantities(meter, [Request(1, (("a", Period(BEGINNING, None)),), MARCH)])[1].value


def test_it_works() -> None:
    """Three values of a dimension on a day are one row for whoever asks for none."""
    meter = Meter.objects.create(code="m", name="m", event_type="call", aggregation="sum", value="n", group_by=["kind"])
    ingest(
        events=[call(f"e{n}", n=n, kind=f"k{n}") for n in range(3)],
        origin="test", default_source="app", now=MARCH.until,
    )  # fmt: skip
    services.catch_up()
    meter.refresh_from_db()
    assert meter.rollup is not None
    kept = models.DayCount.objects.order_by("rollup", "total").values_list("rollup", "n", "total")
    assert list(kept) == [(-meter.rollup, 3, 3), (meter.rollup, 1, 0), (meter.rollup, 1, 1), (meter.rollup, 1, 2)]
    assert march(meter) == 3
    models.DayCount.objects.filter(rollup=-meter.rollup).update(total=4)
    assert march(meter) == 4


def test_the_migration_fills_in_what_steps_would_have_kept() -> None:
    history = History(Random(7))
    make_meters()
    for _ in range(40):
        history.happen()
    services.catch_up()
    before = rows("metering_day"), rows("metering_day_value")
    assert min(map(len, before)) > 10
    migration = import_module(f"billing.migrations.{MIGRATION.stem}")
    with connection.cursor() as cursor:
        cursor.execute(migration.EMPTY)
        assert (rows("metering_day"), rows("metering_day_value")) == ([], [])
        cursor.execute(migration.FILL)
    assert (rows("metering_day"), rows("metering_day_value")) == before


def test_a_process_of_a_release_without_totals_cannot_add_to_days() -> None:
    """Its step fails, so that the batch stays pending, and is answered from its events."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {models.KEEPS} = ''")
    with pytest.raises(DatabaseError, match="restart"), transaction.atomic():
        models.DayCount.objects.create(
            rollup=1, subject_id=1, bucket=START, dims=UUID(int=0), n=1, invalid=0, position=1
        )  # fmt: skip
    assert not models.DayCount.objects.exists()


def test_numbers_too_wide_for_an_index_count_as_any_others() -> None:
    """A product of fractions may have thousands of places, which no index has room for."""
    meters = [
        Meter.objects.create(
            code=f"m{place}", name="m", event_type="call", aggregation=aggregation, value="*".join(["n"] * 40),
            group_by=group_by,
        )
        for place, (aggregation, group_by) in enumerate([("sum", []), ("sum", ["kind"]), ("max", [])])
    ]  # fmt: skip
    dice = Random(1)
    numbers = [Decimal(f"0.999{dice.getrandbits(120):037d}") for _ in range(3)]
    ingest(
        events=[call(f"e{place}", n=str(number), kind=place) for place, number in enumerate(numbers)],
        origin="test", default_source="app", now=MARCH.until,
    )  # fmt: skip
    before = [march(meter) for meter in meters]
    services.catch_up()
    assert [march(meter) for meter in meters] == before
    assert before[0] > before[2] > 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(scale(total)), max(scale(value)) FROM metering_day WHERE dims = %s", [UUID(int=0)])
        assert cursor.fetchone() == (1600, 1600)

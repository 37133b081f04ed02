"""A meter changes in place until a published price counts with it; from then on by versions, and nothing old moves."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from billing.catalog.models import Charge
from billing.metering.errors import MeterError, MeterSuperseded
from billing.metering.meters.services import revise_meter
from billing.metering.models import METER_DEFINITION, Meter
from tests import factories

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 5, tzinfo=UTC)
OTHERS: dict[str, Any] = {
    "event_type": "other", "aggregation": "max", "value": "m", "filters": {"a": 1}, "group_by": ["a"],
    "recurring": True, "rounding": {"mode": "up", "places": 0},
}  # fmt: skip


@pytest.fixture
def sold() -> Meter:
    """A meter that a published price counts with, rolled up."""
    meter = factories.make_meter()
    factories.make_version(factories.usage(meter=meter))
    Meter.objects.filter(pk=meter.pk).update(rollup=7, rollup_ready=True)
    return Meter.objects.get(pk=meter.pk)


def revise(meter: Meter, **changes: Any) -> Meter:
    return revise_meter(meter=meter, changes=changes, now=NOW)


def test_it_works(sold: Meter) -> None:
    second = revise(sold, value="2 * tokens")
    sold.refresh_from_db()
    assert (sold.value, sold.version, sold.superseded_at, sold.rollup) == ("tokens", 1, NOW, 7)
    assert (second.value, second.version, second.superseded_at, second.rollup) == ("2 * tokens", 2, None, None)
    assert Charge.objects.get(meter__isnull=False).meter == sold
    assert list(Meter.objects.current()) == [second]
    assert [str(sold), str(second)] == ["Tokens v1", "Tokens v2"]


def test_the_name_and_the_unit_change_in_place(sold: Meter) -> None:
    assert revise(sold, name="Words", unit="word", value="tokens").pk == sold.pk
    sold.refresh_from_db()
    assert (sold.name, sold.unit, sold.rollup, sold.rollup_ready) == ("Words", "word", 7, True)


@pytest.mark.parametrize("name", OTHERS)
def test_a_meter_without_prices_changes_in_place_and_is_rolled_up_anew(name: str) -> None:
    meter = factories.make_meter()
    Meter.objects.update(rollup=7, rollup_ready=True)
    revised = revise(meter, **{name: OTHERS[name]})
    assert (revised.pk, getattr(revised, name)) == (meter.pk, OTHERS[name])
    assert (revised.rollup, revised.rollup_ready) == (None, False)


def test_whoever_writes_a_new_definition_resets_the_rollup() -> None:
    meter = factories.make_meter()
    Meter.objects.update(rollup=7, rollup_ready=True)
    Meter.objects.update(value="other", rollup=7)
    meter.refresh_from_db()
    assert (meter.rollup, meter.rollup_ready) == (None, False)


@pytest.mark.parametrize("name", ["code", *OTHERS])
def test_the_database_keeps_what_a_published_price_counts(sold: Meter, name: str) -> None:
    change = ({"code": "new"} | OTHERS)[name]
    with pytest.raises(IntegrityError, match="is used by a published plan version"), transaction.atomic():
        Meter.objects.filter(pk=sold.pk).update(**{name: change})


def test_every_part_of_a_definition_is_tried_above() -> None:
    only_distinct = {"operation", "prorate"}
    assert set(OTHERS) | only_distinct == set(METER_DEFINITION)


def test_a_version_that_was_superseded_stays_as_it_is() -> None:
    first = factories.make_meter()
    factories.make_version(factories.usage(meter=first))
    second = revise(first, value="other")
    with pytest.raises(MeterSuperseded, match=r"Version 1 of the meter “tokens” stays as it is; change version 2\."):
        revise(first, value="third")
    with pytest.raises(IntegrityError), transaction.atomic():
        Meter.objects.filter(pk=first.pk).update(superseded_at=None)
    assert revise(second, value="third").pk == second.pk  # no price counts with it yet


def test_a_meter_in_use_keeps_its_code_and_a_bad_definition_is_refused(sold: Meter) -> None:
    with pytest.raises(MeterError, match="know the meter by this code"):
        revise(sold, code="words")
    with pytest.raises(MeterError, match="At character 9"):
        revise(sold, value="tokens +")
    sold.refresh_from_db()
    assert sold.superseded_at is None


def test_two_versions_of_a_meter_are_not_sold_to_a_customer_at_once(sold: Meter) -> None:
    contract = factories.make_contract()
    factories.make_subscription(contract, Charge.objects.get(meter=sold).version)
    newer = factories.make_version(factories.usage("tokens-2", meter=revise(sold, value="other")), plan="new")
    with pytest.raises(Exception, match="Meter tokens is counted by another subscription"):
        factories.make_subscription(contract, newer, code="second")

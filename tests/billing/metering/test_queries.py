"""What counts for nobody, what cannot be read, and whose subjects are whose."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.metering import queries
from billing.metering.asking import BEGINNING, Quantity
from billing.metering.errors import MeterError
from billing.metering.meters import check_meter
from billing.metering.models import Meter
from billing.metering.queries import UsageRow
from billing.metering.services import ingest
from billing.metering.validate import new_event
from billing.periods import Period
from customers.models import Customer, UsageSubject

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def record(*events: tuple[str, str, datetime, dict[str, Any]]) -> None:
    made = [
        new_event(id=f"{subject}/{type_}/{n}", type=type_, subject=subject, time=time, data=data)
        for n, (subject, type_, time, data) in enumerate(events)
    ]
    assert ingest(events=made, origin="test", default_source="app", now=NOW).accepted == len(events)


def customer(name: str, *claims: tuple[str, datetime | None, datetime | None]) -> Customer:
    made = Customer.objects.create(external_id=name, legal_name=name)
    for subject, start, end in claims:
        UsageSubject.objects.create(customer=made, subject=subject, valid_from=start, valid_to=end)
    return made


def meter(**fields: Any) -> Meter:
    defaults = {"code": "m", "name": "m", "event_type": "call", "aggregation": "sum", "value": "n"}
    return Meter.objects.create(**(defaults | fields))


def test_it_works() -> None:
    acme = customer("acme", ("a", None, None))
    record(("a", "call", at(5), {"n": 2}), ("a", "call", at(5), {"n": "3"}), ("a", "call", at(7), {}))
    asked = meter()
    assert queries.quantities(customer_ids=[acme.pk], meters=[asked], period=MARCH, window="day") == [
        UsageRow(acme.pk, asked.pk, at(5), (), Quantity(Decimal(5), 2, 0)),
        UsageRow(acme.pk, asked.pk, at(7), (), Quantity(Decimal(0), 0, 1)),
    ]


def test_customers_are_asked_for_together() -> None:
    """A subject that went from one to the other counts for each its time, and once in all."""
    acme, beta = customer("acme", ("a", None, at(5))), customer("beta", ("a", at(5), None), ("b", None, None))
    record(*((subject, "call", at(day), {"n": day, "kind": "x"}) for subject in "ab" for day in (4, 5)))
    asked, ids = meter(group_by=["kind"]), [acme.pk, beta.pk]
    both = queries.quantities(customer_ids=ids, meters=[asked], period=MARCH, dimensions=["kind"], together=True)
    assert both == [UsageRow(0, asked.pk, None, ("x",), Quantity(Decimal(18), 4, 0))]
    assert [row.quantity.value for row in queries.quantities(customer_ids=ids, meters=[asked], period=MARCH)] == [4, 14]


def test_claims_are_found_in_one_query() -> None:
    acme = customer("acme", ("a", None, at(5)), ("b", at(5), None))
    beta, nobody = customer("beta", ("a", at(5), at(9))), customer("nobody")
    with CaptureQueriesContext(connection) as captured:
        claims = queries.claims_of([acme.pk, beta.pk, nobody.pk])
    assert len(captured) == 1
    assert claims == {
        acme.pk: (("a", Period(BEGINNING, at(5))), ("b", Period(at(5), None))),
        beta.pk: (("a", Period(at(5), at(9))),),
        nobody.pk: (),
    }


GOOD: dict[str, Any] = {"event_type": "call", "aggregation": "sum", "value": "n", "filters": {}, "group_by": []}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": 'usage."output tokens"'},
        {"aggregation": "count", "value": ""},
        {"filters": {"a": "x", "b.c": [1, True, "y", Decimal("0.5")]}, "group_by": ["a", "b.c"]},
    ],
)
def test_a_meter_that_can_count_is_accepted(fields: dict[str, Any]) -> None:
    check_meter(Meter(**(GOOD | fields)))
    assert meter(**(GOOD | fields)).pk


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"event_type": " "}, "event_type", "Name the type of event"),
        ({"aggregation": "median"}, "aggregation", "'median' is unknown; use count or sum"),
        ({"value": ""}, "value", "name a property such as tokens"),
        ({"aggregation": "count"}, "value", "A count reads no value"),
        ({"value": "a..b"}, "value", "At character 2: '.' means nothing here"),
        ({"value": "a\0"}, "value", "means nothing here"),
        ({"operation": "op"}, "operation", "Only a unique_count adds and removes"),
        ({"prorate": True}, "prorate", "Only a recurring sum"),
        ({"rounding": {"mode": "odd"}}, "rounding", "mode: 'odd' is unknown"),
        ({"value": ".".join("abcdefghi")}, "value", "9 levels deep; at most 8"),
        ({"filters": []}, "filters", "Filters are properties with their values"),
        ({"filters": {"": 1}}, "filters", "is no path"),
        ({"filters": {"a": []}}, "filters", "a: No values are listed"),
        ({"filters": {"a": None}}, "filters", "a: A filter cannot compare with null"),
        ({"filters": {"a": [{"b": 1}]}}, "filters", "a: A filter cannot compare with {'b': 1}"),
        ({"filters": {"a": {}}}, "filters", "a: No condition is named"),
        ({"filters": {"a": {"like": 1}}}, "filters", "a.like: 'like' is no condition"),
        ({"filters": {"a": {"exists": 1}}}, "filters", "a.exists: 1 is neither true nor false"),
        ({"filters": {"a": {"gt": "x"}}}, "filters", "a.gt: 'x' is no decimal"),
        ({"filters": {"a": "\0"}}, "filters", "NUL character"),
        ({"group_by": {}}, "group_by", "a list of properties"),
        ({"group_by": ["a", "a"]}, "group_by", "[1]: The dimension a is named twice"),
        ({"group_by": ["a", "b", "c", "d", "e", "f"]}, "group_by", "at most 5"),
        ({"group_by": [1]}, "group_by", "1 is no path"),
    ],
)
def test_a_meter_that_cannot_count_is_told_why(fields: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(MeterError) as raised:
        check_meter(Meter(**(GOOD | fields)))
    assert list(raised.value.problems) == [field]
    assert sentence in raised.value.problems[field]

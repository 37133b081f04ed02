"""The events behind a quantity, one by one: those that the meter counts and no others, in their order, in pieces."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.metering import one_by_one, store
from billing.metering.asking import Known, Request
from billing.metering.models import EventBatch, Meter
from billing.metering.queries import claims_of
from billing.periods import Period
from customers.models import Customer
from tests.factories import make_customer, make_meter, send_events

pytestmark = pytest.mark.django_db
NOVEMBER = Period(datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC))


def asked(customer: Customer) -> Request:
    return Request(0, claims_of([customer.pk])[customer.pk], NOVEMBER)


def send(customer: Customer, *numbers: int, day: int = 5, **data: Any) -> None:
    send_events([
        {"id": f"n{number}", "subject": customer.external_id, "time": f"2023-11-{day:02}T00:{number:02}:00Z",
         "data": {"tokens": number, "model": f"m{number % 2}"} | data}
        for number in numbers
    ])  # fmt: skip


def read(meter: Meter, request: Request, *dimensions: str) -> list[tuple[str, Any]]:
    return [(event.id, event.value) for event in one_by_one.in_order(meter, request, dimensions)]


def test_they_are_those_that_make_the_quantity_in_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    customer, other, meter = make_customer(), make_customer(), make_meter()
    send(customer, 3, 1, 2)
    send(customer, 9, tokens="many")  # invalid for the meter
    send(other, 7)
    send(customer, 4, day=30)
    monkeypatch.setattr(one_by_one, "PAGE", 2)  # more pieces than one
    request = asked(customer)
    found = read(meter, request)
    assert found == [("n1", 1), ("n2", 2), ("n3", 3), ("n4", 4)]
    assert sum(value for _, value in found) == store.quantities(meter, [request])[0].value
    newest = one_by_one.newest(meter, request, ["model"], limit=2)
    assert [(event.id, event.values, event.time.day) for event in newest] == [("n4", ("m0",), 30), ("n3", ("m1",), 5)]


def test_what_came_later_is_left_out_of_what_was_known() -> None:
    customer, meter = make_customer(), make_meter()
    send(customer, 1)
    (batch,) = EventBatch.objects.values_list("no", flat=True)
    send(customer, 2)
    then = meter.as_known(Known(0, frozenset([batch])))
    assert read(then, asked(customer)) == [("n1", Decimal(1))]


def test_a_count_reads_no_value_and_distinct_values_are_told_as_they_are() -> None:
    customer = make_customer()
    send(customer, 1, 2)
    count = make_meter("calls", aggregation="count", value="")
    models = make_meter("models", aggregation="unique_count", value="model")
    assert read(count, asked(customer)) == [("n1", None), ("n2", None)]
    assert [value for _, value in read(models, asked(customer))] == ["m1", "m0"]


def test_without_claims_or_events_there_are_none() -> None:
    customer, meter = make_customer(), make_meter("stored", recurring=True)
    assert read(meter, asked(customer)) == []
    assert one_by_one.newest(meter, Request(0, (), NOVEMBER), [], limit=5) == []

"""The book for benchmarks: laid out as ingest lays events out, so that everything works on it."""

from datetime import UTC, datetime, time, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from billing.catalog.models import Plan, Subscription
from billing.invoicing.models import Invoice
from billing.invoicing.services import run_billing
from billing.metering import scale
from billing.metering.models import Event, EventBatch, EventKey, Meter
from billing.metering.queries import quantities
from billing.periods import Period
from customers.models import Contract, Customer
from tests.factories import make_customer, make_meter, send_events

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works() -> None:
    out = StringIO()
    call_command("seed_scale", events=2_500, customers=40, processes=2, stdout=out)
    assert out.getvalue().startswith("2,500 events of 40 customers in ")
    assert (Event.objects.count(), EventKey.objects.count(), EventBatch.objects.count()) == (2_500, 2_500, 3)
    meter = make_meter("calls", aggregation=Meter.Aggregation.COUNT, value="", unit="call")
    first = Event.objects.order_by("ts")[0].ts
    counts = [
        row.quantity.value
        for row in quantities(
            customer_ids=Customer.objects.order_by("external_id").values_list("id", flat=True),
            meters=[meter],
            period=Period(first, None),
        )
    ]
    assert counts[0] == max(counts)
    assert sum(counts) == Event.objects.filter(type__name="inference").count()


def test_a_seeded_event_that_is_sent_again_is_known() -> None:
    call_command("seed_scale", events=1_000, customers=5, processes=1, stdout=StringIO())
    event = Event.objects.select_related("type", "subject").order_by("ts")[7]
    same = {"id": event.id, "type": event.type.name, "subject": event.subject.name, "time": event.ts.isoformat()}
    assert send_events([same | {"data": event.data}], source=scale.SOURCE, now=event.ts).duplicates == 1
    assert len(send_events([same | {"data": {}}], source=scale.SOURCE, now=event.ts).conflicts) == 1
    later = send_events(subject=event.subject.name, time=event.ts.isoformat(), data={}, now=event.ts)
    assert later.accepted == 1


def test_a_database_in_use_is_left_alone() -> None:
    make_customer()
    with pytest.raises(CommandError, match="has 1 customers: seed_scale fills an empty one"):
        call_command("seed_scale", events=10)


def test_contracts_pay_for_the_usage_of_the_book() -> None:
    out = StringIO()
    call_command("seed_scale", events=1_000, customers=20, processes=1, plans=3, subscriptions=50, stdout=out)
    assert "20 contracts from " in out.getvalue()
    assert out.getvalue().endswith("3 more plans with 50 subscriptions.\n")
    assert (Contract.objects.count(), Subscription.objects.count(), Plan.objects.count()) == (20, 70, 4)
    start = Contract.objects.values_list("start", flat=True)[0]
    after = (start + timedelta(days=32)).replace(day=1)
    run = run_billing(as_of=after, now=datetime.combine(after, time(9), UTC))
    assert set(run.outcomes.values_list("result", flat=True)) == {"drafted"}
    assert Invoice.objects.filter(lines__kind="usage", total__gt=0).distinct().count() == 20


def test_a_book_without_contracts_gets_them_later() -> None:
    call_command("seed_scale", events=1_000, customers=5, processes=1, contracts=False, stdout=StringIO())
    assert Contract.objects.count() == 0
    call_command("seed_scale", stdout=StringIO())
    assert (Contract.objects.count(), Event.objects.count()) == (5, 1_000)
    with pytest.raises(CommandError, match="has 5 customers"):
        call_command("seed_scale")

"""Trials and pauses: dated facts, and what a run makes of them (R4.6)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from billing.catalog.free.errors import FreeTimeError
from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.free.services import end_free_time, pause, start_trial, undo_free_time
from billing.catalog.models import Subscription
from billing.catalog.terms.errors import TermsError
from billing.invoicing.models import Invoice
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
WHO: dict[str, Any] = {"reason": "Order form", "user": None, "now": NOW}


def lines(invoice: Invoice) -> list[tuple[str, str, Decimal]]:
    """First day, day after the last one, and amount."""
    found = invoice.lines.order_by("service_start", "amount").values_list("service_start", "service_end", "amount")
    return [(f"{start:%m-%d}", f"{end:%m-%d}", amount) for start, end, amount in found]


def subscribed(**fields: Any) -> Subscription:
    """A subscription of 300 a month."""
    return make_subscription(make_contract(**fields), make_version(fee(amount="300")))


def test_a_trial_delays_the_fee() -> None:
    subscription = subscribed()
    start_trial(subscription=subscription, end=date(2023, 11, 21), **WHO)
    assert bill("2023-11-20") == []
    (draft,) = bill("2023-12-01")
    assert lines(draft) == [("11-21", "12-01", Decimal("100.00")), ("12-01", "01-01", Decimal("300.00"))]


@pytest.mark.parametrize(("free", "amount"), [(False, "3.00"), (True, "2.00")])
def test_usage_in_a_trial_is_charged_or_free(free: bool, amount: str) -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(usage()))
    for day, tokens in (("05", 100), ("25", 200)):
        send_events(subject=contract.customer.external_id, time=f"2023-11-{day}T12:00:00Z", data={"tokens": tokens})
    start_trial(subscription=subscription, end=date(2023, 11, 21), usage_free=free, **WHO)
    (draft,) = bill("2023-12-01")
    assert draft.net == Decimal(amount)


def test_a_customer_tries_a_product_once() -> None:
    subscription = subscribed()
    first = start_trial(subscription=subscription, end=date(2023, 11, 21), **WHO)
    contract = make_contract(subscription.contract.customer)
    other = make_subscription(contract, make_version(fee()))
    with pytest.raises(FreeTimeError, match="a customer tries a product once"):
        start_trial(subscription=other, end=date(2023, 11, 10), **WHO)
    elsewhere = make_subscription(contract, make_version(fee(), product="other", plan="other"), code="other")
    start_trial(subscription=elsewhere, end=date(2023, 11, 10), **WHO)
    with pytest.raises(IntegrityError, match="free_time_one_trial"), transaction.atomic():
        SubscriptionFreeTime.objects.create(
            subscription=other, customer=contract.customer, product=other.product, kind="trial", start=first.start,
            end=first.end, fees=True, usage=False, reason="Twice", recorded_at=NOW,
        )  # fmt: skip
    undo_free_time(free=first, **WHO)
    start_trial(subscription=other, end=date(2023, 11, 10), **WHO)


def test_a_pause_of_what_was_billed_is_credited() -> None:
    subscription = subscribed()
    bill_and_issue("2023-11-01")
    pause(subscription=subscription, start=date(2023, 11, 11), end=date(2023, 11, 21), **WHO)
    (draft,) = bill("2023-11-15")
    assert lines(draft) == [("11-11", "11-21", Decimal("-100.00"))]


def test_a_pause_may_keep_the_fee() -> None:
    subscription = subscribed()
    bill_and_issue("2023-11-01")
    pause(subscription=subscription, start=date(2023, 11, 11), end=date(2023, 11, 21), keep_fee=True, **WHO)
    assert bill("2023-11-15") == []


def test_a_pause_without_an_end_lasts_until_it_is_ended() -> None:
    subscription = subscribed()
    free = pause(subscription=subscription, start=date(2023, 11, 16), **WHO)
    (first,) = bill_and_issue("2024-02-01")
    assert lines(first) == [("11-01", "11-16", Decimal("150.00"))]
    end_free_time(free=free, at=date(2024, 1, 1), **WHO)
    (draft,) = bill("2024-01-31")
    assert lines(draft) == [("01-01", "02-01", Decimal("300.00"))]


def test_undoing_a_trial_charges_what_it_left_out() -> None:
    subscription = subscribed()
    free = start_trial(subscription=subscription, end=date(2023, 11, 21), **WHO)
    bill_and_issue("2023-11-21")
    undo_free_time(free=free, **WHO)
    (draft,) = bill("2023-11-22")
    assert lines(draft) == [("11-01", "11-21", Decimal("200.00"))]
    with pytest.raises(FreeTimeError, match="changed meanwhile"):
        undo_free_time(free=free, **WHO)


def test_overlapping_reversed_and_unbound_times_are_refused() -> None:
    subscription = subscribed()
    pause(subscription=subscription, start=date(2023, 11, 11), end=date(2023, 11, 21), **WHO)
    with pytest.raises(FreeTimeError, match="has a pause from 2023-11-11 to 2023-11-21: end or undo"):
        pause(subscription=subscription, start=date(2023, 11, 20), end=date(2023, 11, 25), **WHO)
    with pytest.raises(FreeTimeError, match="ends after it starts"):
        pause(subscription=subscription, start=date(2023, 12, 20), end=date(2023, 12, 10), **WHO)
    with pytest.raises(FreeTimeError, match="is not in force on 2023-10-01"):
        pause(subscription=subscription, start=date(2023, 10, 1), end=date(2023, 10, 5), **WHO)
    with pytest.raises(FreeTimeError, match="Say why"):
        pause(subscription=subscription, start=date(2023, 12, 1), **(WHO | {"reason": " "}))
    free = SubscriptionFreeTime.objects.get()
    with pytest.raises(FreeTimeError, match="undo it instead"):
        end_free_time(free=free, at=date(2023, 11, 11), **WHO)
    with pytest.raises(FreeTimeError, match="ends then already"):
        end_free_time(free=free, at=date(2023, 11, 21), **WHO)


def test_the_database_refuses_an_overlap_an_edit_and_a_deletion() -> None:
    subscription = subscribed()
    free = pause(subscription=subscription, start=date(2023, 11, 11), **WHO)
    copy = {name: getattr(free, name) for name in ("subscription", "customer", "product", "kind", "fees", "usage")}
    with pytest.raises(IntegrityError, match="free_time_one_at_a_time"), transaction.atomic():
        SubscriptionFreeTime.objects.create(
            **copy, start=free.start + timedelta(days=1), reason="Again", recorded_at=NOW
        )
    for wrong in (lambda: SubscriptionFreeTime.objects.update(fees=False), free.delete):
        with pytest.raises(Exception, match=r"Cannot (update|delete)"), transaction.atomic():
            wrong()


def test_without_proration_a_pause_keeps_to_the_periods() -> None:
    subscription = subscribed(proration="none")
    with pytest.raises(TermsError, match="does not prorate"):
        pause(subscription=subscription, start=date(2023, 11, 11), end=date(2023, 12, 1), **WHO)
    pause(subscription=subscription, start=date(2023, 12, 1), end=date(2024, 1, 1), **WHO)
    (draft,) = bill("2024-01-01")
    assert lines(draft) == [("11-01", "12-01", Decimal("300.00")), ("01-01", "02-01", Decimal("300.00"))]


def test_a_future_start_waits_and_a_backdated_one_is_made_up_for() -> None:
    late = datetime(2024, 3, 15, tzinfo=UTC)
    coming = subscribed(start=date(2024, 4, 1))
    assert bill("2024-03-15", coming.contract, now=late) == []
    backdated = subscribed(start=date(2024, 1, 1))
    (draft,) = bill("2024-03-15", backdated.contract, now=late)
    assert [amount for _, _, amount in lines(draft)] == [Decimal("300.00")] * 3


def test_listed_dates_bill_up_to_the_last_until_more_are_added() -> None:
    subscription = subscribed(cadence="dates", billing_dates=[date(2023, 11, 29), date(2023, 12, 27)])
    contract = subscription.contract
    (first,) = bill_and_issue("2024-02-01")
    assert lines(first) == [("11-01", "11-29", Decimal("300.00")), ("11-29", "12-27", Decimal("300.00"))]
    contract.billing_dates.append(date(2024, 1, 31))
    contract.save()
    (second,) = bill("2024-02-01")
    assert lines(second) == [("12-27", "01-31", Decimal("300.00"))]
    contract.billing_dates = [date(2023, 11, 30), *contract.billing_dates[1:]]
    with pytest.raises(Exception, match="Cannot update"), transaction.atomic():
        contract.save()

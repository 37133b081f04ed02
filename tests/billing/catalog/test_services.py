"""Versions are published once and stay; subscriptions bind contracts to them without ever overlapping."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction

from billing.catalog.errors import CatalogError, Overlap, Unpublished
from billing.catalog.models import ChargePrice, Plan, SubscriptionInterval
from billing.catalog.services import change_subscription, end_subscription, new_version, publish, subscribe
from customers.models import Contract
from tests.factories import NOW, fee, make_contract, make_customer, make_subscription, make_version, usage

pytestmark = pytest.mark.django_db


def current(subscription: object) -> list[tuple[str, str | None, Decimal]]:
    rows = SubscriptionInterval.objects.filter(subscription=subscription, superseded_at=None).order_by("start")
    return [(f"{row.start:%m-%d}", f"{row.end:%m-%d}" if row.end else None, row.quantity) for row in rows]


def test_it_works() -> None:
    subscription = make_subscription()
    change_subscription(subscription=subscription, at=date(2023, 12, 1), quantity=Decimal(3), now=NOW)
    end_subscription(subscription=subscription, at=date(2024, 2, 1), now=NOW)
    assert current(subscription) == [("11-01", "12-01", Decimal(1)), ("12-01", "02-01", Decimal(3))]
    assert SubscriptionInterval.objects.filter(superseded_at=NOW).count() == 2


def test_a_published_version_is_immutable_with_everything_below_it() -> None:
    version = make_version(fee(), usage())
    charge = version.charges.get(kind="usage")
    price = charge.prices.get()
    meter = charge.meter
    statements = [
        ("UPDATE billing_planversion SET note = 'x' WHERE id = %s", version.pk),
        ("UPDATE billing_planversion SET state = 'draft', published_at = NULL WHERE id = %s", version.pk),
        ("DELETE FROM billing_planversion WHERE id = %s", version.pk),
        ("UPDATE billing_charge SET name = 'x' WHERE id = %s", charge.pk),
        ("DELETE FROM billing_chargeprice WHERE id = %s", price.pk),
        ("UPDATE billing_chargeprice SET price = '{}' WHERE id = %s", price.pk),
        ("UPDATE billing_meter SET value = 'other' WHERE id = %s", meter.pk),
    ]
    for statement, key in statements:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [key])
    price.pk = None
    with pytest.raises(DatabaseError, match="is published"), transaction.atomic():
        price.save()


def test_a_version_without_charges_or_prices_or_with_a_bad_price_is_not_published() -> None:
    version = new_version(plan=make_version().plan)
    with pytest.raises(CatalogError, match="has no charges"):
        publish(version=version, user=None, now=NOW)
    copy = new_version(plan=version.plan, copy_of=make_version(fee()))
    ChargePrice.objects.filter(charge__version=copy).update(
        price={"model": "graduated", "currency": "USD", "tiers": [{"up_to": "10", "unit_amount": "1"}]}
    )
    with pytest.raises(CatalogError, match=r"platform\.USD\.tiers"):
        publish(version=copy, user=None, now=NOW)
    ChargePrice.objects.filter(charge__version=copy).update(price={"model": "flat", "amount": "1", "currency": "EUR"})
    with pytest.raises(CatalogError, match="in USD says EUR"):
        publish(version=copy, user=None, now=NOW)
    ChargePrice.objects.filter(charge__version=copy).delete()
    with pytest.raises(CatalogError, match="has no price"):
        publish(version=copy, user=None, now=NOW)
    copy.refresh_from_db()
    assert copy.state == "draft"


def test_publishing_twice_says_so() -> None:
    version = make_version()
    with pytest.raises(CatalogError, match="is published already"):
        publish(version=version, user=None, now=NOW)


def test_a_draft_version_cannot_be_subscribed_to() -> None:
    contract = make_contract()
    version = new_version(plan=make_version().plan)
    with pytest.raises(Unpublished, match="is a draft: publish it"):
        subscribe(contract=contract, version=version, code="main", start=contract.start, now=NOW)
    assert not contract.subscriptions.exists()


def test_overlapping_subscriptions_are_refused_and_leave_nothing() -> None:
    contract = make_contract()
    version = make_version(fee(), usage())
    make_subscription(contract, version)
    with pytest.raises(Overlap, match="has a subscription “main”"):
        make_subscription(contract, version)
    with pytest.raises(Overlap, match="Meter tokens is counted by another subscription"):
        make_subscription(make_contract(contract.customer), version, code="second")
    assert contract.subscriptions.count() == 1
    make_subscription(make_contract(make_customer()), version)


def test_the_same_meter_may_follow_in_another_subscription() -> None:
    contract = make_contract()
    version = make_version(usage())
    make_subscription(contract, version, end=date(2023, 12, 1))
    make_subscription(contract, version, code="next", start=date(2023, 12, 1))
    assert contract.subscriptions.count() == 2


def test_a_price_in_the_contracts_currency_is_needed() -> None:
    contract = make_contract(currency="EUR")
    with pytest.raises(CatalogError, match="has no price in EUR"):
        make_subscription(contract, make_version(currencies=["USD", "JPY"]))


def test_a_subscription_stays_within_its_contract() -> None:
    contract = make_contract(end=date(2024, 11, 1))
    version = make_version()
    for start, end in ((date(2023, 10, 31), None), (date(2024, 11, 1), None), (date(2023, 11, 1), date(2024, 11, 2))):
        with pytest.raises(CatalogError, match="choose dates for the subscription within it"):
            subscribe(contract=contract, version=version, code="main", start=start, end=end, now=NOW)


def test_intervals_are_superseded_once_and_never_edited() -> None:
    subscription = make_subscription()
    row = subscription.intervals.get()
    for statement in (
        "UPDATE billing_subscriptioninterval SET quantity = 2 WHERE id = %s",
        "DELETE FROM billing_subscriptioninterval WHERE id = %s",
    ):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [row.pk])
    end_subscription(subscription=subscription, at=date(2023, 12, 1), now=NOW)
    row.refresh_from_db()
    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
        SubscriptionInterval.objects.filter(pk=row.pk).update(superseded_at=None)


def test_the_database_refuses_overlapping_intervals_by_itself() -> None:
    subscription = make_subscription()
    row = subscription.intervals.get()
    row.pk = None
    with pytest.raises(DatabaseError, match="interval_no_overlap"), transaction.atomic():
        row.save(force_insert=True)


def test_a_contract_without_proration_changes_at_the_start_of_a_cycle() -> None:
    contract = make_contract(proration=Contract.Proration.NONE)
    subscription = make_subscription(contract)
    with pytest.raises(CatalogError, match="does not prorate: make the change on 2023-12-01"):
        change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(2), now=NOW)
    change_subscription(subscription=subscription, at=date(2023, 12, 1), quantity=Decimal(2), now=NOW)


def test_a_change_of_product_is_refused_with_the_way_out() -> None:
    subscription = make_subscription()
    other = make_version(product="storage", plan="disk")
    with pytest.raises(CatalogError, match="is of another product: subscribe to it"):
        change_subscription(subscription=subscription, at=date(2023, 12, 1), version=other, now=NOW)


def test_dates_are_midnights_in_the_contracts_zone() -> None:
    contract = make_contract(timezone="America/New_York")
    subscription = make_subscription(contract)
    assert subscription.intervals.get().start == datetime(2023, 11, 1, 4, tzinfo=UTC)


def test_a_copy_of_a_version_has_its_charges_and_prices() -> None:
    version = make_version(fee(), usage(), currencies=["USD", "EUR"])
    copy = new_version(plan=version.plan, copy_of=version)
    assert copy.number == 2
    assert Plan.objects.get().versions.count() == 2
    prices = ChargePrice.objects.filter(charge__version=copy).order_by("charge__position", "currency")
    assert [(each.charge.code.code, each.currency) for each in prices] == [
        ("platform", "EUR"), ("platform", "USD"), ("tokens", "EUR"), ("tokens", "USD"),
    ]  # fmt: skip

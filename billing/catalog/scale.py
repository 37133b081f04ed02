"""A large book of plans and contracts for benchmarks, made as sets: beside the usage of `billing.metering.scale`.

The same numbers make the same book. Prices are checked by `publish` as everybody's are.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db import connection, transaction

from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.models import (
    Charge,
    ChargeCode,
    ChargePrice,
    Plan,
    PlanVersion,
    Product,
    Subscription,
    SubscriptionInterval,
)
from billing.catalog.services import publish
from billing.catalog.states import VersionState
from billing.metering.models import Meter
from customers.models import Contract, Customer, LegalEntity
from customers.states import ContractState

BATCH: Final = 1_000
"""Subscriptions in one transaction: each locks its customer, and the server's table of locks has an end."""

CURRENCY: Final = "USD"

_TIERS: Final[list[dict[str, Any]]] = [
    {"up_to": "10", "unit_amount": "0.20", "flat_amount": "1"},
    {"up_to": "50", "unit_amount": "0.15"},
    {"up_to": "100", "unit_amount": "0.12"},
    {"up_to": "500", "unit_amount": "0.10"},
    {"up_to": None, "unit_amount": "0.08"},
]
_MODELS: Final[dict[str, str]] = {"m0": "3.00", "m1": "2.50", "m2": "0.80", "m3": "0.40"}
_MILLION: Final = {"divide_by": "1000000", "round": "none"}
_CHARGES: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("platform", "", {"model": "flat", "amount": "49.00"}),
    ("tokens", "tokens", {
        "model": "matrix", "dimensions": ["model"], "unit": _MILLION,
        "cells": [
            {"when": {"model": name}, "price": {"model": "per_unit", "unit_amount": amount}}
            for name, amount in _MODELS.items()
        ],
        "default": {"model": "per_unit", "unit_amount": "1.00"},
    }),
    ("embeddings", "embeddings", {"model": "graduated", "tiers": _TIERS}),
    ("largest-search", "largest-search", {"model": "per_unit", "unit_amount": "0.001"}),
    ("stored", "stored", {"model": "volume", "tiers": [
        {"up_to": "1000", "unit_amount": "0.02"}, {"up_to": None, "unit_amount": "0.015"},
    ]}),
)  # fmt: skip
"""Code, meter and price of what the seeded contracts pay: a fee, and a charge on each meter of the usage."""


def month_of_usage(now: datetime) -> date:
    """The first day of the month in which the seeded events lie, which is that of `now` where there are none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(ts) FROM metering_event")
        (last,) = cursor.fetchone()
    return (last or now).astimezone(UTC).date().replace(day=1)


def make_plan(now: datetime) -> PlanVersion:
    """A published version with a fee and four usage charges, one graduated and one a matrix."""
    product = Product.objects.create(code="scale", name="Scale")
    version = PlanVersion.objects.create(
        plan=Plan.objects.create(product=product, code="scale", name="Scale"), number=1
    )
    meters = {meter.code: meter for meter in Meter.objects.filter(superseded_at=None)}
    for place, (code, meter, price) in enumerate(_CHARGES):
        charge = Charge.objects.create(
            version=version, code=ChargeCode.objects.create(product=product, code=code), position=place,
            name=code.replace("-", " ").capitalize(), meter=meters[meter] if meter else None,
            kind=Charge.Kind.USAGE if meter else Charge.Kind.RECURRING,
            pay=Charge.Pay.IN_ARREARS if meter else Charge.Pay.IN_ADVANCE,
        )  # fmt: skip
        ChargePrice.objects.create(charge=charge, currency=CURRENCY, price=price | {"currency": CURRENCY})
    return publish(version=version, user=None, now=now, reason="A book for benchmarks.")


def make_contracts(version: PlanVersion, start: date, now: datetime) -> int:
    """An active contract with a subscription to `version` for each seeded customer; how many."""
    entity = LegalEntity.objects.create(
        code="scale", name="Scale Inc.", address="1 Main Street", country="US", email="billing@scale.example"
    )
    customers = list(Customer.objects.order_by("external_id"))
    contracts = Contract.objects.bulk_create(
        [
            Contract(
                number=f"S-{customer.external_id}", customer=customer, entity=entity, start=start, currency=CURRENCY,
                state=ContractState.ACTIVE, created_at=now,
            )
            for customer in customers
        ],
        batch_size=BATCH,
    )  # fmt: skip
    _subscribe([(contract, "main", version) for contract in contracts], start, now)
    return len(contracts)


def make_plans(count: int, now: datetime) -> list[PlanVersion]:
    """So many plans of another product, each with a published version of a fee and four recurring charges."""
    product = Product.objects.create(code="shelf", name="Shelf")
    codes = ChargeCode.objects.bulk_create([ChargeCode(product=product, code=f"item-{place}") for place in range(5)])
    plans = Plan.objects.bulk_create(
        [Plan(product=product, code=f"shelf-{place:04d}", name=f"Shelf {place:04d}") for place in range(count)]
    )
    versions = PlanVersion.objects.bulk_create([PlanVersion(plan=plan, number=1) for plan in plans])
    charges = Charge.objects.bulk_create(
        [
            Charge(version=version, code=code, name=f"Item {place}", kind=Charge.Kind.RECURRING, position=place)
            for version in versions
            for place, code in enumerate(codes)
        ],
        batch_size=BATCH,
    )
    price = {"model": "per_unit", "currency": CURRENCY}
    ChargePrice.objects.bulk_create(
        [
            ChargePrice(charge=charge, currency=CURRENCY, price=price | {"unit_amount": f"{5 + charge.position}.00"})
            for charge in charges
        ],
        batch_size=BATCH,
    )
    PlanVersion.objects.filter(plan__product=product).update(state=VersionState.PUBLISHED, published_at=now)
    return list(PlanVersion.objects.filter(plan__product=product).order_by("id"))


def make_subscriptions(versions: Sequence[PlanVersion], count: int, now: datetime) -> int:
    """So many subscriptions to these versions, spread over all contracts in turn; how many."""
    contracts = list(Contract.objects.order_by("number"))
    if not contracts or not versions:
        return 0
    wanted = [
        (contracts[place % len(contracts)], f"shelf-{place // len(contracts)}", versions[place % len(versions)])
        for place in range(count)
    ]
    _subscribe(wanted, contracts[0].start, now)
    return len(wanted)


def _analyze() -> None:
    """Tell the planner of what came in."""
    tables = "billing_subscription, billing_subscriptioninterval, billing_charge, billing_chargeprice, billing_meter"
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE customers_contract, billing_plan, billing_planversion, {tables}")


def _subscribe(wanted: Sequence[tuple[Contract, str, PlanVersion]], start: date, now: datetime) -> None:
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)  # the seeded contracts' zone is UTC
    products = {version.pk: version.plan.product_id for _, _, version in wanted}
    for rows in _batches(wanted):
        with transaction.atomic():
            made = Subscription.objects.bulk_create(
                [
                    Subscription(contract=contract, product_id=products[version.pk], code=code, created_at=now)
                    for contract, code, version in rows
                ]
            )
            SubscriptionChange.objects.bulk_create(
                [
                    SubscriptionChange(
                        subscription=each, version=version, quantity=1, runs=True, at=begin, recorded_at=now
                    )
                    for each, (_, _, version) in zip(made, rows, strict=True)
                ]
            )
            SubscriptionInterval.objects.bulk_create(
                [
                    SubscriptionInterval(subscription=each, version=version, start=begin, recorded_at=now)
                    for each, (_, _, version) in zip(made, rows, strict=True)
                ]
            )
        _analyze()  # else the triggers keep the plans that they made for tables without a row


def _batches(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]

"""Random histories: in whatever order facts are learned and documents move, the end is the same bill."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.models import PlanVersion, Subscription
from billing.invoicing.models import Coverage, Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.pricing import parse_price, rate
from customers.models import Contract
from tests.billing.saying import say
from tests.factories import NOW, fee, make_contract, make_meter, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
START = date(2023, 11, 1)
TIERS = {"model": "graduated", "minimum_amount": "6", "tiers": [
    {"up_to": "100", "unit_amount": "0.10", "flat_amount": "1"}, {"up_to": None, "unit_amount": "0.03"}]}  # fmt: skip
MODELS = {"small": Decimal("0.02"), "large": Decimal("0.07")}
BY_MODEL = {"model": "matrix", "dimensions": ["model"], "default": None, "cells": [
    {"when": {"model": name}, "price": {"model": "per_unit", "unit_amount": str(amount)}}
    for name, amount in MODELS.items()]}  # fmt: skip
PEAK = {"model": "per_unit", "unit_amount": "0.5"}

DAYS = st.integers(0, 100)
ACTION = st.one_of(
    st.tuples(st.just("use"), DAYS, st.integers(0, 90)),
    st.tuples(st.just("seats"), DAYS, st.integers(1, 2)),
    st.tuples(st.just("cadence"), DAYS, st.integers(0, 1)),
    st.tuples(st.just("run"), DAYS, st.just(0)),
    st.tuples(st.sampled_from(["approve", "issue", "send back"]), st.just(0), st.just(0)),
)


class World:
    """A contract with a fee by the seat; tiers with a minimum, a price by model, and peaks of days in two cadences."""

    def __init__(self) -> None:
        self.contract: Contract = make_contract()
        self.versions = [self.version("P3M"), self.version("P1M")]
        self.subscription: Subscription = make_subscription(self.contract, self.versions[0])
        self.used: list[tuple[date, str, int]] = []
        self.changes: dict[date, int] = {START: 1}

    @property
    def seats(self) -> dict[date, int]:
        """How many on each day: each change holds until the next day that has one, recorded before or after it."""
        found, held = {}, 1
        for day in (START + timedelta(number) for number in range(500)):
            held = self.changes.get(day, held)
            found[day] = held
        return found

    def version(self, cadence: str) -> PlanVersion:
        seats = fee("seats") | {"price": {"model": "per_unit", "unit_amount": "31"}}
        peaks = usage("peaks", make_meter("peaks", aggregation="max"), **PEAK) | {"window": "day", "cadence": cadence}
        by_model = usage("models", make_meter("models", group_by=["model"]), **BY_MODEL)
        return make_version(seats, usage(**TIERS), by_model, peaks)

    def act(self, what: str, day: int, amount: int) -> None:
        when = START + timedelta(day)
        match what:
            case "use":
                model = "small" if amount % 2 else "large"
                send_events(
                    subject=self.contract.customer.external_id, time=f"{when}T10:00:00Z",
                    data={"tokens": amount, "model": model}, now=datetime(2024, 6, 1, tzinfo=UTC),
                )  # fmt: skip
                self.used.append((when, model, amount))
            case "seats":
                say(subscription=self.subscription, at=when, quantity=Decimal(amount), now=NOW)
                self.changes[when] = amount
            case "cadence":
                say(subscription=self.subscription, at=when, version=self.versions[amount], now=NOW)
            case "run":
                run_billing(as_of=when, now=NOW)
            case "approve":
                approve(invoice_ids=self.ids("draft"), user=None, now=NOW)
            case "issue":
                issue(invoice_ids=self.ids("approved")[:1], user=None, now=NOW)
            case "send back":
                for invoice_id in self.ids("approved")[-1:]:
                    send_back(invoice_id=invoice_id, user=None, reason="Look again", now=NOW)

    def ids(self, state: str) -> list[int]:
        return list(Invoice.objects.filter(state=state).order_by("id").values_list("id", flat=True))

    def settle(self, as_of: date) -> None:
        run_billing(as_of=as_of, now=NOW)
        ids = self.ids("approved") + self.ids("draft")
        approve(invoice_ids=ids, user=None, now=NOW)
        assert issue(invoice_ids=ids, user=None, now=NOW).skipped == []


def billed(code: str, kind: str = "usage") -> dict[tuple[date, date], Decimal]:
    """Σ of what was billed in each cycle of a charge."""
    totals: dict[tuple[date, date], Decimal] = {}
    lines = InvoiceLine.objects.filter(kind=kind, stream__charge_code__code=code).select_related("slot")
    for line in lines.order_by("slot__cycle_start"):
        assert line.slot
        assert line.slot.cycle_start
        assert line.slot.cycle_end
        key = line.slot.cycle_start.date(), line.slot.cycle_end.date()
        totals[key] = totals.get(key, Decimal(0)) + line.amount
    return totals


def check_usage(world: World, as_of: date) -> None:
    """Each cycle's usage, counted once more by hand."""
    months = [date(2023 + (month // 12), month % 12 + 1, 1) for month in range(10, 20)]
    due = list(pairwise([*months, as_of]))
    price = parse_price(TIERS | {"currency": "USD"})
    tiers, minimums, by_model = {}, {}, {}
    for first, end in due:
        within = [(model, amount) for day, model, amount in world.used if first <= day < end]
        tokens = Decimal(sum(amount for _, amount in within))
        tiers[first, end] = rate(replace(price, minimum_amount=None), tokens).amount
        minimums[first, end] = max(Decimal(6) - tiers[first, end], Decimal(0))
        by_model[first, end] = sum((MODELS[model] * amount for model, amount in within), Decimal(0))
    assert billed("tokens") == tiers
    assert billed("models") == by_model
    lifted = billed("tokens", "minimum")
    assert {key: lifted.get(key, Decimal(0)) for key in minimums} == minimums
    assert lifted.keys() <= minimums.keys()


def check_peaks(world: World) -> None:
    """However cycles were cut, they follow one another, and each day's peak is billed once."""
    cycles = billed("peaks")
    bounds = sorted(cycles)
    assert bounds[0][0] == START
    assert all(first[1] == second[0] for first, second in pairwise(bounds))
    assert bounds[-1][1] > date(2024, 6, 1)  # a quarter may have begun anew at a change
    peaks: dict[date, int] = {}
    for day, _, amount in world.used:
        peaks[day] = max(amount, peaks.get(day, 0))
    for first, end in bounds:
        assert cycles[first, end] == sum(peak for day, peak in peaks.items() if first <= day < end) * Decimal("0.5")


def check(world: World, as_of: date) -> None:
    check_usage(world, as_of)
    check_peaks(world)
    live = sorted(Coverage.objects.filter(credited_by=None).select_related("line"), key=lambda each: each.start)
    assert live[0].start.date() == START
    assert all(first.end == second.start for first, second in pairwise(live))
    assert live[-1].end.date() > as_of
    seats = world.seats
    for each in live:
        days = [START + timedelta(n) for n in range((each.start.date() - START).days, (each.end.date() - START).days)]
        assert {seats[day] for day in days} == {int(each.line.terms["quantity"])}
    fees = InvoiceLine.objects.filter(kind="recurring")
    exact = sum(
        Fraction((each.end - each.start).days, (each.line.service_end - each.line.service_start).days)
        * Fraction(each.line.amount) for each in live
    )  # fmt: skip
    cents = abs(exact - Fraction(sum(line.amount for line in fees)))
    assert cents <= Fraction(fees.count(), 200)  # each line rounds once, by half a cent at most


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=8)
@given(st.lists(ACTION, max_size=14))
def test_it_works(history: list[tuple[str, int, int]]) -> None:
    play(history)


@pytest.mark.deep
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=400)
@given(st.lists(ACTION, max_size=30))
def test_long_random_histories_end_in_the_bill_of_their_facts(history: list[tuple[str, int, int]]) -> None:
    play(history)


def play(history: list[tuple[str, int, int]]) -> None:
    with transaction.atomic():
        world = World()
        for action in history:
            world.act(*action)
            connection.check_constraints()
        as_of = date(2024, 9, 1)
        world.settle(as_of)
        connection.check_constraints()
        check(world, as_of)
        run_billing(as_of=as_of, now=NOW)
        assert not Invoice.objects.exclude(state="issued").exists()
        transaction.set_rollback(True)

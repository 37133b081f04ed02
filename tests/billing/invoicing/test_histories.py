"""Random histories: in whatever order facts are learned and documents move, the end is the same bill."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.models import Subscription
from billing.catalog.services import change_subscription
from billing.invoicing.models import Coverage, Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.pricing import parse_price, rate
from customers.models import Contract
from tests.factories import NOW, fee, make_contract, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
START = date(2023, 11, 1)
TIERS = {"model": "graduated", "tiers": [
    {"up_to": "100", "unit_amount": "0.10", "flat_amount": "1"}, {"up_to": None, "unit_amount": "0.03"}]}  # fmt: skip

DAYS = st.integers(0, 100)
ACTION = st.one_of(
    st.tuples(st.just("use"), DAYS, st.integers(0, 90)),
    st.tuples(st.just("seats"), DAYS, st.integers(1, 2)),
    st.tuples(st.just("run"), DAYS, st.just(0)),
    st.tuples(st.sampled_from(["approve", "issue", "send back"]), st.just(0), st.just(0)),
)


class World:
    """A contract with a fee by the seat and tiered usage, and what its bill should come to."""

    def __init__(self) -> None:
        seats = fee("seats") | {"price": {"model": "per_unit", "unit_amount": "31"}}
        self.contract: Contract = make_contract()
        self.subscription: Subscription = make_subscription(self.contract, make_version(seats, usage(**TIERS)))
        self.tokens: dict[tuple[int, int], int] = {}
        self.seats: dict[date, int] = {START + timedelta(day): 1 for day in range(500)}

    def act(self, what: str, day: int, amount: int) -> None:
        when = START + timedelta(day)
        match what:
            case "use":
                send_events(
                    subject=self.contract.customer.external_id, time=f"{when}T10:00:00Z", data={"tokens": amount},
                    now=datetime(2024, 6, 1, tzinfo=UTC),
                )  # fmt: skip
                self.tokens[when.year, when.month] = self.tokens.get((when.year, when.month), 0) + amount
            case "seats":
                change_subscription(subscription=self.subscription, at=when, quantity=Decimal(amount), now=NOW)
                self.seats |= {each: amount for each in self.seats if each >= when}
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


def billed_usage() -> dict[tuple[int, int], Decimal]:
    totals: dict[tuple[int, int], Decimal] = {}
    for line in InvoiceLine.objects.filter(kind="usage").select_related("slot"):
        assert line.slot
        assert line.slot.cycle_start
        key = line.slot.cycle_start.year, line.slot.cycle_start.month
        totals[key] = totals.get(key, Decimal(0)) + line.amount
    return totals


def check(world: World, as_of: date) -> None:
    months = [(year, month) for year in (2023, 2024) for month in range(1, 13)]
    due = [each for each in months if date(2023, 11, 1) <= date(*each, 1) < as_of]
    price = parse_price(TIERS | {"currency": "USD"})
    assert billed_usage() == {each: rate(price, Decimal(world.tokens.get(each, 0))).amount for each in due}
    live = sorted(Coverage.objects.filter(credited_by=None).select_related("line"), key=lambda each: each.start)
    assert live[0].start.date() == START
    assert all(first.end == second.start for first, second in pairwise(live))
    assert live[-1].end.date() > as_of
    for each in live:
        days = [START + timedelta(n) for n in range((each.start.date() - START).days, (each.end.date() - START).days)]
        assert {world.seats[day] for day in days} == {int(each.line.terms["quantity"])}
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

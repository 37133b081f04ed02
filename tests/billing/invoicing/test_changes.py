"""Changes in mid-cycle: whatever their options, and in whatever order they are learned, the end is the same bill."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.changes.checking import last_day
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.options import Options
from billing.catalog.changes.services import change_subscription, end_subscription, undo_change
from billing.catalog.models import Subscription
from billing.catalog.terms.services import set_term
from billing.invoicing.models import Coverage, InvoiceLine
from billing.invoicing.preview import Preview, preview
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
START = date(2023, 11, 1)
LATER = datetime(2024, 6, 1, tzinfo=UTC)
TIERS = {"model": "graduated", "free_quantity": "10", "tiers": [
    {"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.03"}]}  # fmt: skip
SEATS = fee("seats") | {"price": {"model": "per_unit", "unit_amount": "30"}}


def use(subscription: Subscription, day: str, tokens: int) -> None:
    subject = subscription.contract.customer.external_id
    send_events(subject=subject, time=f"{day}T10:00:00Z", data={"tokens": tokens}, now=LATER)


def lines() -> list[tuple[str, str, str, Decimal]]:
    found = InvoiceLine.objects.order_by("service_start", "amount", "description")
    return [
        (each.description, f"{each.service_start:%m-%d}", f"{each.service_end:%m-%d}", each.amount) for each in found
    ]


def previewed(subscription: Subscription, now: datetime = NOW, **what: Any) -> Preview:
    return preview(
        contract=subscription.contract, effect=lambda made: made.at, now=now,
        act=lambda: change_subscription(subscription=subscription, now=now, **what),
    )  # fmt: skip


def test_it_works() -> None:
    subscription = make_subscription(version=make_version(SEATS))
    bill_and_issue("2023-11-01")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(2), now=NOW)
    bill_and_issue("2023-11-16")
    assert lines() == [
        ("Seats", "11-01", "12-01", Decimal("30")), ("Seats", "11-16", "12-01", Decimal("-15")),
        ("Seats", "11-16", "12-01", Decimal("30")),
    ]  # fmt: skip


def test_unused_time_without_credit_is_freed_by_a_line_of_nothing() -> None:
    subscription = make_subscription(version=make_version(SEATS))
    bill_and_issue("2023-11-01")
    kept = Options(unused="none")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(2), options=kept, now=NOW)
    bill_and_issue("2023-11-16")
    assert [line[3] for line in lines()] == [Decimal(30), Decimal(0), Decimal(30)]
    assert bill("2023-11-30") == []
    live = Coverage.objects.filter(credited_by=None).order_by("start")
    assert [(f"{each.start:%m-%d}", f"{each.end:%m-%d}") for each in live] == [("11-01", "11-16"), ("11-16", "12-01")]


def test_a_termination_ends_after_its_day_with_credit_or_without() -> None:
    for unused, total in (("credit", Decimal(15)), ("none", Decimal(30))):
        subscription = make_subscription(make_contract(), make_version(SEATS))
        bill_and_issue("2023-11-01", subscription.contract)
        at = last_day(subscription.contract, "date", date(2023, 11, 15), NOW)
        end_subscription(subscription=subscription, at=at, options=Options(unused=unused), now=NOW)  # type: ignore[arg-type]
        bill_and_issue("2023-12-15", subscription.contract)
        found = InvoiceLine.objects.filter(stream__subscription=subscription)
        assert sum(line.amount for line in found) == total


def test_an_anchor_reset_to_the_change_starts_a_whole_period_there() -> None:
    subscription = make_subscription(version=make_version(SEATS))
    bill_and_issue("2023-11-01")
    reset = Options(anchor="change")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(2), options=reset, now=NOW)
    bill_and_issue("2023-11-16")
    assert lines()[1:] == [("Seats", "11-16", "12-01", Decimal(-15)), ("Seats", "11-16", "12-16", Decimal(60))]
    bill_and_issue("2023-12-16")
    assert lines()[-1] == ("Seats", "12-16", "01-16", Decimal(60))


def test_a_calendar_anchor_moves_the_following_periods_to_the_first() -> None:
    contract = make_contract(start=date(2023, 11, 10))
    subscription = make_subscription(contract, make_version(SEATS))
    change_subscription(subscription=subscription, at=date(2023, 12, 10), quantity=Decimal(2), now=NOW,
                        options=Options(anchor="calendar"))  # fmt: skip
    bill_and_issue("2024-01-01")
    assert [line[1:3] for line in lines()] == [("11-10", "12-10"), ("12-10", "01-01"), ("01-01", "02-01")]


def test_a_new_version_that_lost_a_charge_credits_it_and_adds_what_is_new() -> None:
    first = make_version(SEATS, fee("support", "60.00"))
    second = make_version(SEATS, fee("storage", "90.00"))
    subscription = make_subscription(version=first)
    bill_and_issue("2023-11-01")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=second, now=NOW)
    bill_and_issue("2023-11-16")
    assert lines()[2:] == [("Support", "11-16", "12-01", Decimal(-30)), ("Storage", "11-16", "12-01", Decimal(45))]
    bill_and_issue("2023-12-31")
    assert {line[0] for line in lines() if line[1] == "12-01"} == {"Seats", "Storage"}


@pytest.mark.parametrize(
    ("tiers", "total"), [("", "10.50"), ("continue", "10.50"), ("restart", "10.00"), ("prorate", "10.40")]
)
def test_tiers_go_on_begin_anew_or_are_prorated_over_a_change(tiers: Any, total: str) -> None:
    """60 on each side: 100 at 0.10 and 10 at 0.05; 50 and 50 at 0.10; or twice 50 at 0.10, 5 at 0.03, 5 at 0.05."""
    subscription = make_subscription(version=make_version(usage(**TIERS)))
    dearer = TIERS | {"tiers": [{"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.05"}]}
    use(subscription, "2023-11-10", 60)
    use(subscription, "2023-11-20", 60)
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=make_version(usage(**dearer)),
                        options=Options(tiers=tiers), now=NOW)  # fmt: skip
    (draft,) = bill("2023-12-01")
    assert draft.total == Decimal(total)


def test_a_peak_keeps_its_first_terms_or_each_side_weighs_with_its_share() -> None:
    meter = make_meter("peak", aggregation="max")
    for gauges, total in (("next_cycle", Decimal(80)), ("share", Decimal("120.00"))):
        cheap, dear = (
            make_version(usage("peak", meter, model="per_unit", unit_amount=amount)) for amount in ("1", "4")
        )  # fmt: skip
        subscription = make_subscription(make_contract(), cheap)
        use(subscription, "2023-11-10", 80)
        use(subscription, "2023-11-20", 40)
        change_subscription(subscription=subscription, at=date(2023, 11, 16), version=dear, now=NOW,
                            options=Options(gauges=gauges))  # type: ignore[arg-type]  # fmt: skip
        (draft,) = bill_and_issue("2023-12-01", subscription.contract)
        assert draft.total == total  # 80 at 1; or half of 80 at 1 and half of 40 at 4


def test_a_preview_shows_the_lines_that_the_run_then_makes_and_leaves_nothing() -> None:
    subscription = make_subscription(version=make_version(SEATS))
    bill_and_issue("2023-11-01")
    now = datetime(2023, 11, 10, tzinfo=UTC)
    shown = previewed(subscription, now, at=date(2023, 11, 16), quantity=Decimal(2))
    assert (shown.on, shown.before, shown.after) == (date(2023, 11, 16), Decimal(0), Decimal(15))
    assert [(line.start, line.amount, line.credit) for line in shown.made] == [
        (date(2023, 11, 16), Decimal(-15), True), (date(2023, 11, 16), Decimal(30), False)]  # fmt: skip
    assert subscription.changes.count() == subscription.intervals.count() == 1
    change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(2), now=now)
    bill_and_issue("2023-11-16")
    assert [line[3] for line in lines()[1:]] == [line.amount for line in shown.made]


def test_a_term_in_the_past_and_an_undoing_are_previewed_too() -> None:
    subscription = make_subscription(version=make_version(SEATS))
    bill_and_issue("2023-11-01")
    half = {"factor": "0.5"}
    shown = preview(
        contract=subscription.contract, effect=lambda term: term.start, now=NOW,
        act=lambda: set_term(subscription=subscription, kind="factor", value=half, code="seats", start=START,
                             end=date(2023, 12, 1), reason="A mistake", user=None, now=NOW),
    )  # fmt: skip
    assert sum(line.amount for line in shown.made if line.start == START) == Decimal(-15)
    change = change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(3), now=NOW)
    back = preview(
        contract=subscription.contract, effect=lambda made: made.at, now=NOW,
        act=lambda: undo_change(change=change, reason="No", user=None, now=NOW),
    )  # fmt: skip
    assert back.difference == Decimal(-30) - 120
    assert SubscriptionChange.objects.get(pk=change.pk).undone_at is None


OPTIONS = st.builds(
    Options, unused=st.sampled_from(["credit", "none"]), fees=st.sampled_from(["prorated", "full", "next_period"]),
    tiers=st.sampled_from(["", "restart", "prorate", "continue"]),
)  # fmt: skip
FACT = st.tuples(st.integers(1, 60), st.sampled_from(["seats", "version", "both"]), st.integers(2, 3), OPTIONS)
Fact = tuple[int, str, int, Options]


class World:
    """A contract with a fee by the seat and tiers, and usage that is known from the first day on."""

    def __init__(self) -> None:
        prices = ({"unit_amount": "0.10"}, {"unit_amount": "0.10"}, {"unit_amount": "0.08"}, {"unit_amount": "0.12"})
        self.versions = [
            make_version(SEATS | {"price": {"model": "per_unit", "unit_amount": str(30 + number)}}, usage(
                **TIERS | {"tiers": [{"up_to": "100", **price}, {"up_to": None, "unit_amount": "0.03"}]}
            )) for number, price in enumerate(prices)
        ]  # fmt: skip

    def subscribed(self) -> Subscription:
        mine = make_subscription(make_contract(), self.versions[0])
        for day, tokens in (("2023-11-05", 80), ("2023-11-25", 70), ("2023-12-20", 120), ("2024-01-10", 30)):
            use(mine, day, tokens)
        return mine

    def learn(self, mine: Subscription, fact: Fact) -> None:
        day, what, value, options = fact
        change_subscription(
            subscription=mine, at=START + timedelta(day), options=options, now=NOW,
            version=self.versions[value] if what != "seats" else None,
            quantity=Decimal(value) if what != "version" else None,
        )  # fmt: skip


def slots(mine: Subscription) -> dict[tuple[str, Any], Decimal]:
    """What each slot of usage, and each fee as a whole, comes to."""
    totals: dict[tuple[str, Any], Decimal] = defaultdict(Decimal)
    for line in InvoiceLine.objects.filter(stream__subscription=mine).select_related("slot"):
        totals[line.kind, line.slot.cycle_start if line.slot else None] += line.amount
    return totals


def same(one: dict[tuple[str, Any], Decimal], other: dict[tuple[str, Any], Decimal]) -> bool:
    """Usage to the cent; of a fee, whose lines each round once, within a few cents."""
    return all(
        abs(one.get(key, Decimal(0)) - other.get(key, Decimal(0))) <= (Decimal("0.10") if key[1] is None else 0)
        for key in one.keys() | other.keys()
    )


def distinct(facts: Sequence[Fact]) -> list[Fact]:
    """One change a day: of two that set the same thing the later would hold, and order would matter."""
    return list({fact[0]: fact for fact in facts}.values())


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=5, deadline=None
)
@given(
    st.lists(FACT, min_size=1, max_size=4), st.randoms(use_true_random=False), st.lists(st.integers(0, 90), max_size=3)
)
def test_facts_learned_in_any_order_end_in_the_same_bill(facts: list[Fact], random: Any, runs: list[int]) -> None:
    check_any_order(facts, random, runs)


@pytest.mark.deep
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=300, deadline=None
)
@given(
    st.lists(FACT, min_size=1, max_size=6), st.randoms(use_true_random=False), st.lists(st.integers(0, 90), max_size=5)
)
def test_many_facts_learned_in_any_order_end_in_the_same_bill(facts: list[Fact], random: Any, runs: list[int]) -> None:
    check_any_order(facts, random, runs)


def check_any_order(facts: list[Fact], random: Any, runs: list[int]) -> None:
    with transaction.atomic():
        world = World()
        known = distinct(facts)
        shuffled = list(known)
        random.shuffle(shuffled)
        first, second, late = (world.subscribed() for _ in range(3))
        for mine, order in ((first, known), (second, shuffled)):
            for fact in order:
                world.learn(mine, fact)
        for place, fact in enumerate(shuffled):
            for day in runs[place : place + 1]:
                bill_and_issue(str(START + timedelta(day)), late.contract)
            world.learn(late, fact)
        for mine in (first, second, late):
            bill_and_issue("2024-03-15", mine.contract)
            assert bill("2024-03-15", mine.contract) == []
        drawn = [
            sorted(InvoiceLine.objects.filter(stream__subscription=mine).values_list(
                "kind", "service_start", "service_end", "amount"))
            for mine in (first, second)
        ]  # fmt: skip
        assert drawn[0] == drawn[1]
        assert same(slots(first), slots(late))
        transaction.set_rollback(True)

"""What holds at each instant: once, whatever the order of agreeing, and the plan where nothing else was agreed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.kinds import (
    AddCharge,
    Allowance,
    ChangeTiers,
    FreeUsage,
    Multiply,
    Reduce,
    RemoveCharge,
    ReplacePrice,
    SetQuantity,
    Spend,
    TermValue,
    TierChange,
)
from billing.catalog.terms.resolve import Term, charges_at, resolve
from billing.catalog.terms.values import ChargeTerms, Interval, Source
from billing.periods import Period
from billing.pricing import parse_price
from billing.pricing.prices import Discount

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
TIERS = {"model": "graduated", "tiers": [
    {"up_to": "10", "unit_amount": "3"}, {"up_to": None, "unit_amount": "2", "flat_amount": "1"}]}  # fmt: skip


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def charge(code_id: int, price: dict[str, Any], **fields: Any) -> ChargeTerms:
    return ChargeTerms(
        charge_id=code_id, code_id=code_id, code=f"c{code_id}", name=f"C{code_id}", position=code_id, in_advance=True,
        price=parse_price(price), sources=(Source("version", "Pro v1"),), **fields,
    )  # fmt: skip


PLAN = (charge(1, {"model": "flat", "amount": "100"}), charge(2, TIERS, meter_id=7))
BOUND = (
    Interval(1, Period(day(0), day(20)), Decimal(1), PLAN),
    Interval(1, Period(day(20), day(40)), Decimal(3), PLAN[:1]),
    Interval(1, Period(day(50), None), Decimal(3), PLAN),
)


def term(value: TermValue, start: int = 0, end: int | None = None, code_id: int | None = None, **fields: Any) -> Term:
    period = Period(day(start), None if end is None else day(end))
    return Term(value, period, Source("term", type(value).__name__), code_id, **fields)


def amount(text: str) -> TermValue:
    return ReplacePrice(parse_price({"model": "flat", "amount": text}))


VALUES = st.one_of(
    st.sampled_from(["5", "6"]).map(amount),
    st.sampled_from([Multiply(Decimal("0.5")), Multiply(Decimal(1)), Multiply(Decimal(2))]),
    st.sampled_from([Reduce(Discount(percentage=Decimal(10))), Reduce(Discount(amount=Decimal(3)))]),
    st.sampled_from([Allowance(Decimal(4), "replace"), Allowance(Decimal(4), "add"), FreeUsage(Decimal(2))]),
    st.sampled_from([RemoveCharge(), SetQuantity(Decimal(9)), Spend("commitment", Decimal(1000))]),
)


@st.composite
def terms(draw: st.DrawFn) -> Term:
    start = draw(st.integers(-5, 70))
    end = draw(st.none() | st.integers(start + 1, 80))
    value = draw(VALUES)
    about = st.sampled_from([1, 2, 3]) if not isinstance(value, Multiply | Reduce) else st.sampled_from([None, 1, 2])
    return term(value, start, end, None if isinstance(value, Spend) else draw(about))


def test_it_works() -> None:
    found = resolve(BOUND[:1], [term(amount("80"), 5, 10, code_id=1)]).intervals
    assert [(each.period.start, each.charges[0].price.model) for each in found] == [
        (day(0), PLAN[0].price.model), (day(5), parse_price({"model": "flat", "amount": "80"}).model),
        (day(10), PLAN[0].price.model),
    ]  # fmt: skip
    assert [source.label for source in found[1].charges[0].sources] == ["Pro v1", "ReplacePrice"]


def test_without_terms_the_plan_holds_exactly() -> None:
    assert resolve(BOUND, []).intervals == BOUND


@given(st.lists(terms(), max_size=6))
def test_every_instant_of_the_subscription_resolves_exactly_once(given_terms: list[Term]) -> None:
    found = resolve(BOUND, given_terms).intervals
    assert all(one.period.until <= other.period.start for one, other in pairwise(found))
    for number in range(-1, 82):
        moment = day(number) + timedelta(hours=1)
        here = [each for each in found if each.period.contains(moment)]
        bound = [each for each in BOUND if each.period.contains(moment)]
        assert len(here) == len(bound)
        for one, plan in zip(here, bound, strict=True):
            assert one.quantity == plan.quantity
            assert one.charges == charges_at(plan, [t for t in given_terms if not isinstance(t.value, Spend)], moment)


@given(st.lists(terms(), max_size=6).flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
def test_the_order_in_which_terms_are_recorded_does_not_matter(given_terms: tuple[list[Term], list[Term]]) -> None:
    one, other = (resolve(BOUND, each) for each in given_terms)
    assert one == other


@given(st.lists(terms(), max_size=6))
def test_neighbours_that_bill_alike_are_one_stretch(given_terms: list[Term]) -> None:
    for one, other in pairwise(resolve(BOUND, given_terms).intervals):
        assert one.period.end != other.period.start or (one.quantity, one.charges) != (other.quantity, other.charges)


@given(st.lists(terms(), max_size=4), st.integers(0, 60))
def test_a_term_that_changes_nothing_splits_nothing(given_terms: list[Term], start: int) -> None:
    idle = [term(Multiply(Decimal(1)), start, start + 7), term(amount("7"), start, start + 7, code_id=99)]
    assert resolve(BOUND, [*given_terms, *idle]) == resolve(BOUND, given_terms)


def test_kinds_apply_in_their_order() -> None:
    (found,) = resolve(BOUND[:1], [
        term(Reduce(Discount(amount=Decimal(5))), code_id=2), term(Reduce(Discount(percentage=Decimal(20)))),
        term(Reduce(Discount(percentage=Decimal(10))), code_id=2), term(FreeUsage(Decimal(2)), code_id=2),
        term(Allowance(Decimal(8), "replace"), code_id=2), term(Multiply(Decimal("0.5")), code_id=2),
        term(ChangeTiers((TierChange(Decimal(10), unit_amount=Decimal(9)),)), code_id=2),
    ]).intervals  # fmt: skip
    price = found.charges[1].price
    changed = TIERS | {"free_quantity": "10", "tiers": [
        {"up_to": "10", "unit_amount": "4.5"}, {"up_to": None, "unit_amount": "1", "flat_amount": "0.5"}],
        "discounts": [{"percentage": "10"}, {"amount": "5"}, {"percentage": "20"}]}  # fmt: skip
    assert price == parse_price(changed)


def test_a_factor_multiplies_amounts_and_no_bounds() -> None:
    package = {"model": "package", "package_size": "100", "amount": "7", "discounts": [{"amount": "1"}]}
    (found,) = resolve([replace(BOUND[0], charges=(charge(1, package),))], [term(Multiply(Decimal("0.1")))]).intervals
    assert found.charges[0].price == parse_price(package | {"amount": "0.7"})


def test_a_charge_that_is_there_cannot_be_added_and_one_that_is_removed_can() -> None:
    added = term(AddCharge(), 5, 9, code_id=1, charge=charge(1, {"model": "flat", "amount": "7"}))
    with pytest.raises(TermsError, match="“c1” would be charged twice at one time"):
        resolve(BOUND[:1], [added])
    found = resolve(BOUND[:1], [added, term(RemoveCharge(), 3, 12, code_id=1)]).intervals
    assert [[each.code_id for each in one.charges] for one in found] == [[1, 2], [2], [2, 1], [2], [1, 2]]


def test_a_tier_that_the_price_does_not_have_is_named() -> None:
    changed = ChangeTiers((TierChange(Decimal(11), unit_amount=Decimal(9)),))
    with pytest.raises(TermsError, match="“C2” has no tier up to 11; its tiers end at 10, the open one"):
        resolve(BOUND[:1], [term(changed, code_id=2)])
    with pytest.raises(TermsError, match="“C1” has no tiers: replace the price instead"):
        resolve(BOUND[:1], [term(changed, code_id=1)])


def test_spending_terms_keep_their_own_dates() -> None:
    found = resolve(BOUND, [term(Spend("commitment", Decimal(500), "term", ("c1",), Decimal("1.5")), 3, 33)]).spend
    assert [(each.kind, each.name, each.per, each.period, each.codes, each.overage_factor) for each in found] == [
        ("commitment", "Commitment", "term", Period(day(3), day(33)), ("c1",), Decimal("1.5"))
    ]

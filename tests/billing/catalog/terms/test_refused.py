"""What cannot be agreed: each is refused with a sentence, and nothing is half saved."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from billing.catalog.errors import Overlap
from billing.catalog.models import Charge, ChargePrice
from billing.catalog.services import change_subscription, end_subscription
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import add_charge, end_term, make_ramp, remove_charge, set_term, undo_term
from billing.invoicing.models import RunOutcome
from billing.metering.models import Meter
from tests.billing.catalog.terms.helpers import WHY, agree, per_unit, subscribed
from tests.factories import (
    NOW,
    bill,
    fee,
    make_contract,
    make_customer,
    make_meter,
    make_subscription,
    make_version,
    usage,
)

pytestmark = pytest.mark.django_db
TIERS = {"model": "graduated", "tiers": [
    {"up_to": "100", "unit_amount": "0.10"}, {"up_to": None, "unit_amount": "0.01"}]}  # fmt: skip


def test_it_works() -> None:
    subscription = subscribed(fee())
    term = agree(subscription, "price", "platform", price={"model": "flat", "amount": "80.0"})
    assert term.value == {"price": {"model": "flat", "currency": "USD", "amount": "80"}}
    assert (term.reason, term.recorded_at, str(term)) == (
        "Agreed with their buyer", NOW, "Price of platform from 2023-11-01",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code", "value", "sentence"),
    [
        ("price", "platform", {"price": {"model": "flat", "amount": "1", "currency": "EUR"}},
         "value.price.currency: The contract is billed in USD, and this price is in EUR: write it in USD."),
        ("price", "platform", {"price": {"model": "flat"}}, "value.price.amount: 'amount' is missing; add it."),
        ("price", "platform", {"prize": {}}, "value.prize: 'prize' is no key of this term; it takes price."),
        ("price", "", {"price": {"model": "flat", "amount": "1"}}, "“Price” is about one charge: choose which."),
        ("price", "platform", {"price": {"model": "dynamic"}}, "“Platform” is a fee: price it flat or by its quantity"),
        ("price", "tokens", {"price": {"model": "matrix", "dimensions": ["modle"], "cells": [], "default":
                                       {"model": "per_unit", "unit_amount": "1"}}},
         "The meter of “Tokens” does not report by “modle”; it reports by nothing."),
        ("price", "seats", {"price": {"model": "flat", "amount": "1"}},
         " has no charge “seats”: choose one that it has, or add it."),
        ("factor", "platform", {"factor": "-1"}, "value.factor: -1 is too small; write 0 or more."),
        ("factor", "platform", {"factor": 0.5}, "value.factor: 0.5 is a JSON float; write it as a string"),
        ("discount", "platform", {"percentage": "101"}, "value.percentage: 101 is too large; write 100 or less."),
        ("discount", "platform", {}, "value: A discount is a percentage, an amount or a quantity: write one."),
        ("discount", "", {"amount": "5"}, "An amount or a quantity is taken off one charge: choose which."),
        ("allowance", "tokens", {"quantity": "-5"}, "value.quantity: -5 is too small; write 0 or more."),
        ("tiers", "tokens", {"tiers": [{"up_to": "7", "unit_amount": "1"}]},
         "The price of “Tokens” has no tier up to 7; its tiers end at 100, the open one."),
        ("tiers", "tokens", {"tiers": [{"up_to": "100"}]},
         "value.tiers[0]: Write the tier's new unit_amount or flat_amount."),
        ("tiers", "tokens", {"tiers": [{"up_to": None, "unit_amount": "-2"}]},
         "value.tiers[0].unit_amount: -2 is too small; write 0 or more."),
        ("narrowing", "platform", {"filters": {"region": "eu"}}, "“Platform” is a fee and counts no usage"),
        ("narrowing", "tokens", {"filters": {"a..b": "eu"}}, "value.filters.a..b: "),
        ("narrowing", "tokens", {"filters": {"region": {"like": "eu"}}},
         "value.filters.region.like: 'like' is no condition"),
        ("quantity", "tokens", {"quantity": "5"}, "“Tokens” is usage, which its meter counts"),
        ("meter", "tokens", {}, "Choose the meter that counts instead."),
        ("minimum_spend", "platform", {"amount": "5"}, "“Minimum spend” is about what the subscription spends"),
        ("minimum_spend", "", {"amount": "5", "charges": ["seats"]},
         "has no charge “seats” at that time; it has platform, tokens."),
        ("commitment", "", {"amount": "5", "per": "term"}, "A commitment over its term needs an end"),
        ("commitment", "", {"amount": "5", "per": "day"}, "value.per: 'day' is unknown; use cycle or term."),
        ("surprise", "", {}, "“surprise” is no kind of term that can be set"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_path(kind: str, code: str, value: dict[str, Any], sentence: str) -> None:
    subscription = subscribed(fee(), usage(**TIERS))
    with pytest.raises(TermsError) as refused:
        set_term(subscription=subscription, kind=kind, code=code, value=value, start=date(2023, 11, 1), **WHY)
    assert sentence in str(refused.value)
    assert not SubscriptionTerm.objects.exists()


def test_two_prices_of_a_charge_at_one_time_are_refused() -> None:
    subscription = subscribed(fee(), usage())
    agree(subscription, "price", "tokens", "2023-12-01", end="2024-01-01", price=per_unit("0.02"))
    with pytest.raises(
        Overlap, match="“Price” of tokens is agreed from 2023-12-01 to 2024-01-01: end or undo that one"
    ):
        agree(subscription, "price", "tokens", "2023-11-10", price=per_unit("0.03"))
    agree(subscription, "price", "tokens", "2024-01-01", price=per_unit("0.03"))
    agree(subscription, "price", "platform", "2023-12-01", price={"model": "flat", "amount": "1"})
    for _ in range(2):  # discounts and commitments may stand together
        agree(subscription, "discount", "tokens", percentage="10")
        agree(subscription, "commitment", amount="100", per="cycle")


def test_a_term_holds_while_its_subscription_does() -> None:
    subscription = subscribed(fee())
    with pytest.raises(TermsError, match="runs from 2023-11-01 on: choose dates within it"):
        agree(subscription, "factor", "platform", "2023-10-31", factor="2")
    end_subscription(subscription=subscription, at=date(2024, 3, 1), now=NOW)
    for start, end in (("2024-03-01", None), ("2024-02-01", "2024-03-02")):
        with pytest.raises(TermsError, match="runs from 2023-11-01 to 2024-03-01"):
            agree(subscription, "factor", "platform", start, end=end, factor="2")


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda sub: agree(sub, "factor", "platform", end="2023-11-01", factor="2"), "A term ends after it starts"),
        (lambda sub: agree(sub, "factor", "platform", end="2024-01-01", periods=2, factor="2"), "not both"),
        (lambda sub: agree(sub, "factor", "platform", periods=0, factor="2"), "1 to 1200 periods, not 0"),
        (lambda sub: make_ramp(subscription=sub, kind="factor", steps=[(date(2023, 11, 1), {"factor": "1"})], **WHY),
         "two steps or more"),
        (lambda sub: make_ramp(subscription=sub, kind="discount", steps=[], **WHY), "Steps can be made of “price”"),
        (lambda sub: make_ramp(subscription=sub, kind="factor", **WHY,
                               steps=[(date(2023, 12, 1), {"factor": "1"}), (date(2023, 11, 1), {"factor": "2"})]),
         "starts after the one before"),
        (lambda sub: make_ramp(subscription=sub, kind="factor", **WHY,
                               steps=[(date(2023, 12, 1), {"factor": "1"}), (date(2023, 12, 2), {"factor": "-2"})]),
         "steps[1].factor: -2 is too small"),
    ],
)  # fmt: skip
def test_dates_and_steps_must_make_sense(act: Callable[[Any], object], sentence: str) -> None:
    with pytest.raises(TermsError) as refused:
        act(subscribed(fee()))
    assert sentence in str(refused.value)
    assert not SubscriptionTerm.objects.exists()


def test_a_term_without_a_reason_is_refused() -> None:
    with pytest.raises(TermsError, match="Say why"):
        set_term(
            subscription=subscribed(fee()), kind="factor", value={"factor": "2"}, start=date(2023, 11, 1), reason=" ",
            user=None, now=NOW,
        )  # fmt: skip


def test_without_proration_terms_start_and_end_with_periods() -> None:
    subscription = make_subscription(make_contract(proration="none"), make_version(fee()))
    with pytest.raises(
        TermsError, match="does not prorate: let the term start and end with its periods, as on 2023-12-01"
    ):
        agree(subscription, "factor", factor="2", start="2023-11-16")
    term = agree(subscription, "factor", factor="2")
    with pytest.raises(TermsError, match="as on 2024-01-01"):
        end_term(term=term, at=date(2023, 12, 2), **WHY)


def test_an_added_charge_needs_a_code_of_its_own_and_whole_fields() -> None:
    subscription = subscribed(fee())
    flat = {"model": "flat", "amount": "5"}
    for code, charge, sentence in (
        ("platform", Charge(name="More", kind="recurring", pay="in_advance"), "“platform” would be charged twice"),
        ("calls", Charge(name="Calls", kind="usage", pay="in_arrears"), "Usage needs a meter"),
        ("support", Charge(kind="recurring", pay="in_advance"), "cannot be blank"),
    ):
        with pytest.raises(TermsError, match=sentence):
            add_charge(subscription=subscription, code=code, charge=charge, price=flat, start=date(2023, 11, 1), **WHY)
    assert Charge.objects.filter(subscription=subscription).count() == 0
    remove_charge(subscription=subscription, code="platform", start=date(2023, 11, 1), **WHY)
    charge = Charge(name="Platform for them", kind="recurring", pay="in_advance")
    add_charge(subscription=subscription, code="platform", charge=charge, price=flat, start=date(2023, 11, 1), **WHY)
    (draft,) = bill("2023-11-01")
    assert draft.total == 5


def test_no_two_subscriptions_come_to_count_one_meter() -> None:
    customer = make_customer()
    one = make_subscription(make_contract(customer), make_version(fee(), usage()))
    calls = make_meter("calls", aggregation="count", value="")
    other = make_subscription(make_contract(customer), make_version(fee(), usage("calls", calls), plan="other"))
    clash = "Meter {} is counted by another subscription of this customer at that time: end or change that one first."
    with pytest.raises(Overlap, match=clash.format("tokens")):
        agree(other, "meter", "calls", meter=make_meter())
    charge = Charge(name="Calls", kind="usage", pay="in_arrears", meter=calls)
    with pytest.raises(Overlap, match=clash.format("calls")):
        add_charge(subscription=one, code="calls", charge=charge, price=per_unit("1"), start=date(2023, 11, 1), **WHY)
    removed = remove_charge(subscription=other, code="calls", start=date(2023, 12, 1), **WHY)
    charge = Charge(name="Calls", kind="usage", pay="in_arrears", meter=calls)
    add_charge(subscription=one, code="calls", charge=charge, price=per_unit("1"), start=date(2023, 12, 1), **WHY)
    with pytest.raises(Overlap, match=clash.format("calls")):
        undo_term(term=removed, **WHY)
    with pytest.raises(Overlap, match=clash.format("calls")):
        make_subscription(
            make_contract(customer), make_version(usage("c", calls), plan="third"), start=date(2024, 1, 1)
        )


def test_a_term_that_a_new_version_does_not_fit_holds_the_contract_with_the_reason() -> None:
    subscription = subscribed(usage(**TIERS))
    agree(subscription, "tiers", "tokens", tiers=[{"up_to": "100", "unit_amount": "0.05"}])
    change_subscription(subscription=subscription, at=date(2023, 12, 1), version=make_version(usage()), now=NOW)
    assert bill("2024-01-01") == []
    assert RunOutcome.objects.get().reason == "The price of “Tokens” has no tiers: replace the price instead."


def test_the_past_is_kept_for_ever() -> None:
    subscription = subscribed(fee())
    term = agree(subscription, "factor", "platform", factor="2")
    for change in ({"value": {"factor": "3"}}, {"end": datetime(2024, 1, 1, tzinfo=UTC)}, {"reason": "Another"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            SubscriptionTerm.objects.filter(pk=term.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        SubscriptionTerm.objects.filter(pk=term.pk).delete()
    undo_term(term=term, **WHY)
    term.refresh_from_db()
    assert (term.superseded_at, term.superseded_reason) == (NOW, "Agreed with their buyer")
    with pytest.raises(TermsError, match="was changed meanwhile"):
        undo_term(term=term, **WHY)


def test_what_was_agreed_with_a_customer_is_frozen() -> None:
    subscription = subscribed(fee())
    calls = make_meter("calls", aggregation="count", value="")
    charge = Charge(name="Calls", kind="usage", pay="in_arrears", meter=calls)
    add_charge(
        subscription=subscription, code="calls", charge=charge, price=per_unit("1"), start=date(2023, 11, 1), **WHY
    )
    prices = ChargePrice.objects.filter(charge=charge)
    for act in (
        lambda: Charge.objects.filter(pk=charge.pk).update(name="Other"),
        lambda: prices.update(price=per_unit("2") | {"currency": "USD"}),
        prices.delete,
        lambda: Meter.objects.filter(pk=calls.pk).update(event_type="other"),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()
    assert Meter.objects.with_use().get(pk=calls.pk).sold is True


def test_undoing_everything_is_as_if_it_had_never_been() -> None:
    subscription = subscribed(fee(), usage())
    (before,) = bill("2024-01-01")
    lines = list(before.lines.values_list("description", "amount", "service_start"))
    steps = [(date(2023, 11, 9), {"factor": "2"}), (date(2023, 12, 9), {"factor": "3"})]
    ramp = make_ramp(subscription=subscription, kind="factor", steps=steps, **WHY)
    term = agree(subscription, "discount", "tokens", percentage="5", periods=1)
    ended = end_term(term=term, at=date(2023, 11, 20), **WHY)
    assert ended.replaces == term
    (changed,) = bill("2024-01-01")
    assert changed.total != Decimal(0)
    undo_term(term=ended, **WHY)
    undo_term(term=ramp[0], whole_ramp=True, **WHY)
    (after,) = bill("2024-01-01")
    assert list(after.lines.values_list("description", "amount", "service_start")) == lines

"""Each check holds the customer with a sentence, and nobody else; a release lets pass what it names and no more."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pgtrigger
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.invoicing.engine import Delta, deltas
from billing.invoicing.holds import lines_guards, usage_guards
from billing.invoicing.holds.errors import HoldError
from billing.invoicing.holds.models import Hold, UsageTolerance
from billing.invoicing.holds.queries import held_money
from billing.invoicing.holds.services import release
from billing.invoicing.models import Invoice, RunOutcome
from billing.invoicing.services import run_billing
from billing.metering.rollups import services as rollups
from customers.models import Contract
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
DECEMBER = date(2023, 12, 1)


def make_user_of_tokens(**fields: object) -> Contract:
    contract = make_contract(**fields)
    make_subscription(contract, make_version(fee(), usage()))
    return contract


def send(contract: Contract, tokens: object, n: int = 1, day: str = "2023-11-10", type: str = "inference") -> None:
    send_events(
        [{"subject": contract.customer.external_id, "time": f"{day}T12:00:00Z", "data": {"tokens": tokens},
          "type": type} for _ in range(n)]
    )  # fmt: skip


def outcomes() -> dict[str, tuple[str, str]]:
    """What the last run did, by contract number: result and kind of reason."""
    last = RunOutcome.objects.order_by("-run_id").values_list("run_id", flat=True)[0]
    rows = RunOutcome.objects.filter(run=last).values_list("contract__number", "result", "code")
    return {number: (result, code) for number, result, code in rows}


def computed(contract: Contract) -> Delta:
    (delta,) = deltas([contract], {contract.id: datetime(2023, 12, 1, tzinfo=UTC)})
    return delta


def test_it_works() -> None:
    """Unreadable usage holds its customer, a release lets it pass, and one more such event holds again."""
    good, bad = make_user_of_tokens(), make_user_of_tokens()
    send(good, 100)
    send(bad, 100, 8)
    send(bad, "many", 2)
    assert [draft.contract for draft in bill("2023-12-01")] == [good]
    assert outcomes()[bad.number] == ("held", "unreadable")
    (hold,) = Hold.objects.all()
    assert hold.sentence.startswith("2 of 10 events cannot be read by the meters that count them")
    assert (hold.detail, hold.covers["events"], hold.amount) == (["Tokens: 2"], 2, Decimal("108.00") + Decimal(100))
    release(hold_id=hold.pk, user=None, reason="A test of the customer’s", now=NOW)
    assert [draft.contract for draft in bill("2023-12-01")] == [good, bad]
    send(bad, "more", 1)
    assert [draft.contract for draft in bill("2023-12-01")] == [good]
    assert Hold.objects.filter(released_at=None, ended_at=None).get().sentence.startswith("3 of 11 events")


def test_what_is_rolled_up_holds_like_what_is_pending_and_a_correction_ends_the_hold() -> None:
    contract = make_user_of_tokens()
    send(contract, 5, 3)
    send(contract, "many")
    rollups.catch_up()
    assert bill("2023-12-01") == []
    Hold.objects.get()
    send(contract, 5, 200)
    assert len(bill("2023-12-01")) == 1
    assert Hold.objects.get().ended_at == NOW


def test_a_tolerance_of_the_seller_goes_before_the_one_of_all() -> None:
    UsageTolerance.objects.create(entity=None, invalid_events=0)
    UsageTolerance.objects.create(entity=make_entity(), invalid_events=2)
    contract = make_user_of_tokens()
    send(contract, 5)
    send(contract, "many", 2)
    assert len(bill("2023-12-01")) == 1
    other = make_user_of_tokens(entity=make_entity("other"))
    send(other, 5, 500)
    send(other, "many")
    bill("2023-12-01")
    assert outcomes()[other.number] == ("held", "unreadable")


def test_usage_of_a_time_that_is_not_billed_now_holds_nobody() -> None:
    contract = make_user_of_tokens()
    send(contract, "many", day="2023-12-02")
    assert len(bill("2023-12-01")) == 1
    assert Hold.objects.count() == 0


def test_usage_that_no_meter_counts_holds_above_the_limit_and_is_let_pass_by_a_release() -> None:
    UsageTolerance.objects.create(entity=None, uncounted_events=1)
    contract = make_user_of_tokens()
    send(contract, 5, 3)
    send(contract, 1, 1, type="training")
    assert len(bill("2023-12-01")) == 1
    send(contract, 1, 1, type="training")
    rollups.catch_up()
    assert bill("2023-12-01") == []
    hold = Hold.objects.get()
    assert (hold.code, hold.detail) == ("uncounted", ["training: 2"])
    release(hold_id=hold.pk, user=None, reason="Not for sale", now=NOW)
    assert len(bill("2023-12-01")) == 1
    send(contract, 1, 1, type="training")
    assert bill("2023-12-01") == []


def test_a_contract_that_is_held_holds_the_other_contracts_of_its_customer() -> None:
    customer = make_customer()
    bad, sibling = make_user_of_tokens(customer=customer), make_contract(customer)
    make_subscription(sibling, make_version(fee()))
    send(bad, "many")
    assert bill("2023-12-01") == []
    assert outcomes() == {bad.number: ("held", "unreadable"), sibling.number: ("held", "sibling")}
    assert [hold.contract for hold in Hold.objects.all()] == [bad]


def test_a_charge_without_a_price_in_the_currency_holds_with_its_kind() -> None:
    contract = make_contract()
    make_subscription(contract)
    with pgtrigger.ignore("customers.Contract:contract_frozen"):
        Contract.objects.filter(pk=contract.pk).update(currency="EUR")
    assert bill("2023-12-01") == []
    assert outcomes()[contract.number] == ("held", "no_price")
    with pytest.raises(HoldError, match="cannot be released, its reason must be mended"):
        release(hold_id=Hold.objects.get().pk, user=None, reason="Please", now=NOW)


def test_a_correction_of_what_was_billed_in_another_currency_is_held() -> None:
    contract = make_user_of_tokens()
    send(contract, 100)
    bill_and_issue("2023-12-01")
    delta = computed(contract)
    assert list(lines_guards.other_currency([delta])) == []
    send(contract, 100)
    contract.currency = "EUR"
    late = computed(Contract.objects.get(pk=contract.pk))
    late.contract.currency = "EUR"
    (held,) = lines_guards.other_currency([late])
    assert held.sentence.startswith(f"{contract} was billed in USD and is in EUR now")


def test_a_stretch_that_would_be_charged_twice_is_held() -> None:
    contract = make_user_of_tokens()
    send(contract, 100)
    delta = computed(contract)
    assert list(lines_guards.overlaps([delta])) == []
    delta.fees.append(delta.fees[0])
    delta.slots.append(replace(delta.slots[0], desired=Decimal(7)))
    (held,) = lines_guards.overlaps([delta])
    assert held.detail == ("Platform from 2023-11-01", "Tokens from 2023-11-01")


def test_a_fee_that_is_billed_already_is_held_unless_it_is_credited() -> None:
    contract = make_user_of_tokens()
    delta = computed(contract)
    bill_and_issue("2023-12-01")
    (held,) = lines_guards.billed_already([delta])
    assert held.sentence.startswith("Platform from 2023-11-01 is billed already")
    line = contract.streams.get(charge_code__code="platform").lines.order_by("service_start")[0]
    charge = delta.fees[0]
    delta.fees[:] = [charge, replace(charge, amount=-charge.amount, corrects=line.pk)]
    assert list(lines_guards.billed_already([delta])) == []


def test_a_negative_total_is_held_unless_credits_of_earlier_lines_explain_it() -> None:
    contract = make_user_of_tokens()
    delta = computed(contract)
    charge = delta.fees[0]
    delta.slots.clear()
    delta.fees[:] = [replace(charge, amount=Decimal(-50), corrects=1)]
    assert list(lines_guards.negative([delta], {})) == []
    delta.fees[:] = [replace(charge, amount=Decimal(-50))]
    (held,) = lines_guards.negative([delta], {})
    assert (held.code, held.releasable, held.covers) == ("negative", True, {"below_zero": "50"})
    assert list(lines_guards.negative([delta], {contract.id: "50"})) == []
    assert len(list(lines_guards.negative([delta], {contract.id: "49"}))) == 1


def test_usage_that_was_rated_is_counted_again_where_it_was_put_together() -> None:
    model = {"model": "percentage", "rate": "0.01", "minimum_per_event": "0.05"}
    contract = make_contract()
    make_subscription(contract, make_version(usage(**model)))
    send(contract, 100, 3)
    watched = usage_guards.Watched(usage_guards.Facts())
    found = deltas([contract], {contract.id: datetime(2023, 12, 1, tzinfo=UTC)}, watched)
    assert list(usage_guards.recounted(found, watched.asked)) == []
    ((question, answer),) = watched.asked.items()
    (held,) = usage_guards.recounted(found, {question: replace(answer, quantity=Decimal(301))})
    assert held.detail == ("Tokens from 2023-11-01: rated 301, metered 300",)


def test_what_is_held_in_money_is_added_by_currency() -> None:
    for _ in range(2):
        send(make_user_of_tokens(), "many")
    bill("2023-12-01")
    (money,) = held_money()
    assert (money.currency, money.contracts, money.amount) == ("USD", 2, Decimal("400.00"))


def test_a_release_needs_a_reason_and_happens_once() -> None:
    contract = make_user_of_tokens()
    send(contract, "many")
    bill("2023-12-01")
    hold = Hold.objects.get()
    with pytest.raises(HoldError, match="Say why"):
        release(hold_id=hold.pk, user=None, reason=" ", now=NOW)
    release(hold_id=hold.pk, user=None, reason="A test", now=NOW)
    with pytest.raises(HoldError, match="released already"):
        release(hold_id=hold.pk, user=None, reason="A test", now=NOW)


def test_the_number_of_queries_does_not_grow_with_those_who_are_held() -> None:
    make_meter()
    version = make_version(fee(), usage())
    UsageTolerance.objects.create(entity=None, invalid_events=0, uncounted_events=0)
    counts = []
    for size in (2, 6):
        for _ in range(size):
            contract = make_contract()
            make_subscription(contract, version)
            send(contract, "many", 2)
            send(contract, 1, type="training")
        run_billing(as_of=DECEMBER, now=NOW)
        with CaptureQueriesContext(connection) as queries:
            run_billing(as_of=DECEMBER, now=NOW)
        counts.append(len(queries))
    assert (Invoice.objects.count(), Hold.objects.count()) == (0, 8)
    assert counts[0] == counts[1]

"""Coupons and discounts on invoices: through to issued lines, and in the books."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.catalog.agreements.services import end_agreement
from billing.catalog.coupons.models import Coupon
from billing.catalog.coupons.services import redeem, remove, retire, undo
from billing.catalog.errors import Overlap
from billing.catalog.services import end_subscription
from billing.catalog.terms.errors import TermsError
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.models import Invoice
from customers.models import Contract
from revenue.ledger.models import Recognition
from revenue.ledger.services import close_period, post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.agreed import agreed, apply, make_coupon
from tests.billing.invoicing.test_whatif import under
from tests.factories import (
    NOW,
    amounts,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
LATE = datetime(2024, 12, 1, tzinfo=UTC)


def use(contract: Contract, day: str, tokens: int) -> None:
    send_events(subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens}, now=LATE)


def subscribed(pay: str = "in_advance", contract: Contract | None = None) -> Contract:
    """Platform at USD 100.00 a month, and tokens at USD 0.01."""
    return make_subscription(contract or make_contract(), make_version(fee(pay=pay), usage())).contract


def printed(invoice: Invoice) -> list[tuple[str, str]]:
    return [(name, f"{amount:.2f}") for name, amount in amounts(invoice)]


def test_a_coupon_comes_off_the_fee_when_that_is_billed_and_off_the_usage_when_that_is() -> None:
    contract = subscribed()
    redemption = apply(make_coupon(), contract)
    use(contract, "2023-11-10", 5000)
    (first,) = bill_and_issue("2023-11-01")
    assert printed(first) == [("Platform", "100.00"), ("Coupon WELCOME: Platform", "-10.00")]
    (second,) = bill_and_issue("2023-12-01")
    assert printed(second) == [("Platform", "100.00"), ("Tokens", "50.00"), ("Coupon WELCOME: Tokens", "-5.00")]
    assert bill("2023-12-01") == []
    line = second.lines.get(kind="coupon")
    assert [(step["label"], step["amount"]) for step in line.steps] == [("Less 10 %", "-5")]
    assert (line.stream.charge_code.code, line.slot.dimensions) == ("tokens", {"coupon": str(redemption.pk)})
    document = printed_invoice(second)
    assert [each.description for each in document.sections[0].lines][-1] == "Coupon WELCOME: Tokens"


def test_one_run_at_the_end_takes_off_the_same_as_one_at_each_date() -> None:
    once, often = subscribed(), subscribed()
    coupon = make_coupon(amount="130", duration="cycles", cycles=2)
    for contract in (once, often):
        apply(coupon, contract)
        use(contract, "2023-11-10", 1234)
        use(contract, "2023-12-10", 4321)
    for day in ("2023-11-01", "2023-11-15", "2023-12-01", "2023-12-02", "2024-01-01"):
        bill_and_issue(day, often, now=LATE)
    bill_and_issue("2024-01-01", once, now=LATE)

    def slots(contract: Contract) -> list[tuple[str, datetime, Decimal]]:
        rows = contract.streams.filter(slots__kind="coupon").values_list(
            "charge_code__code", "slots__cycle_start", "slots__lines__amount"
        )
        found: dict[tuple[str, datetime], Decimal] = {}
        for code, start, amount in rows:
            found[code, start] = found.get((code, start), Decimal(0)) + amount
        return sorted((*key, amount) for key, amount in found.items())

    assert slots(once) == slots(often)
    assert sum(each[2] for each in slots(once)) == -260


def test_an_amount_used_in_part_keeps_its_rest_for_the_next_cycle() -> None:
    contract = subscribed()
    apply(make_coupon(amount="250"), contract)
    for day, off in (("2023-11-01", "-100.00"), ("2023-12-01", "-100.00"), ("2024-01-01", "-50.00")):
        (invoice,) = bill_and_issue(day)
        assert printed(invoice)[-1] == ("Coupon WELCOME: Platform", off)
    (last,) = bill_and_issue("2024-02-01")
    assert printed(last) == [("Platform", "100.00"), ("Tokens", "0.00")]


def test_narrow_scope_comes_first_then_percentages_then_amounts_unless_they_are_listed() -> None:
    ruled, listed = subscribed("in_arrears"), subscribed("in_arrears")
    amount, half = make_coupon("FLAT", amount="20"), make_coupon("HALF", percentage="50")
    tokens = make_coupon("TOKENS", amount="10", scope="charges", codes=["tokens"])
    for rank, coupon in enumerate((amount, half, tokens), 1):
        apply(coupon, ruled)
        apply(coupon, listed, rank=rank)
    for contract in (ruled, listed):
        use(contract, "2023-11-10", 10000)
    one, other = bill("2023-12-01")
    off = {invoice: sum(line.amount for line in invoice.lines.filter(kind="coupon")) for invoice in (one, other)}
    assert off == {one: -(Decimal(10) + Decimal(95) + Decimal(20)), other: -(Decimal(20) + Decimal(90) + Decimal(10))}


def test_a_coupon_counts_after_a_commitment_and_never_takes_more_than_there_is() -> None:
    contract = subscribed("in_arrears")
    agreed(contract, "minimum_spend", amount="300")
    apply(make_coupon(percentage="50"), contract)
    apply(make_coupon("FLAT", amount="1000"), contract)
    (invoice,) = bill_and_issue("2023-12-01")
    assert printed(invoice)[:2] == [("Platform", "100.00"), ("Tokens", "0.00")]
    assert ("Minimum spend", "200.00") in printed(invoice)
    assert invoice.total == 0
    assert (
        sum(line.amount for line in invoice.lines.filter(kind="coupon", description__startswith="Coupon WEL")) == -150
    )


def test_late_usage_takes_off_more_and_the_next_run_bills_the_difference() -> None:
    contract = subscribed("in_arrears")
    apply(make_coupon(), contract)
    use(contract, "2023-11-10", 1000)
    (first,) = bill_and_issue("2023-12-01")
    use(contract, "2023-11-11", 500)
    (second,) = bill_and_issue("2023-12-01")
    assert printed(second) == [("Tokens", "5.00"), ("Coupon WELCOME: Tokens", "-0.50")]
    back = second.lines.get(kind="coupon")
    assert back.corrects == first.lines.get(kind="coupon", charge=back.charge)


def test_a_discount_that_is_only_spread_anew_is_not_billed() -> None:
    contract = subscribed("in_arrears")
    apply(make_coupon(amount="30"), contract)
    use(contract, "2023-11-10", 5000)
    (first,) = bill_and_issue("2023-12-01")
    assert [each for each in printed(first) if "WELCOME" in each[0]] == [
        ("Coupon WELCOME: Platform", "-20.00"), ("Coupon WELCOME: Tokens", "-10.00")]  # fmt: skip
    use(contract, "2023-11-11", 5000)
    (second,) = bill_and_issue("2023-12-01")
    assert printed(second) == [("Tokens", "50.00")]
    assert bill("2023-12-01") == []


def test_removed_keeps_what_it_took_off_and_undone_gives_it_back() -> None:
    contract, other = subscribed(), subscribed()
    coupon = make_coupon(duration="forever")
    mine, theirs = apply(coupon, contract), apply(coupon, other)
    bill_and_issue("2023-11-01")
    remove(redemption=mine, at=date(2023, 12, 1), reason="Left the programme", user=None, now=NOW)
    undo(redemption=theirs, reason="Wrong customer", user=None, now=NOW)
    one, two = bill_and_issue("2023-12-01")
    assert printed(one) == [("Platform", "100.00"), ("Tokens", "0.00")]
    assert ("Coupon WELCOME: Platform", "10.00") in printed(two)
    with pytest.raises(TermsError, match="changed meanwhile"):
        undo(redemption=theirs, reason="Again", user=None, now=NOW)


def test_a_run_as_of_an_earlier_day_takes_nothing_back() -> None:
    contract = subscribed()
    apply(make_coupon(), contract)
    bill_and_issue("2023-12-01")
    assert bill("2023-11-15") == []


def test_an_end_within_a_cycle_credits_the_coupon_with_the_fee() -> None:
    contract = subscribed()
    apply(make_coupon(percentage="20"), contract)
    bill_and_issue("2023-11-01")
    end_subscription(subscription=contract.subscriptions.get(), at=date(2023, 11, 16), now=NOW)
    bill_and_issue("2023-12-01")
    assert sum(invoice.total for invoice in Invoice.objects.all()) == Decimal(40)
    assert sum(line.amount for line in contract.streams.get(charge_code__code="platform").lines.all()) == 40


def test_a_percentage_holds_for_all_contracts_of_a_customer_and_an_amount_for_one() -> None:
    customer = make_customer()
    contracts = [subscribed(contract=make_contract(customer)), make_contract(customer)]
    make_subscription(contracts[1], make_version(fee("seats", "70.00"), product="app", plan="team"))
    redeem(coupon=make_coupon(), customer=customer, start=date(2023, 11, 1), reason="All", user=None, now=NOW)
    totals = sum(invoice.total for invoice in bill("2023-11-01"))
    assert totals == 153
    with pytest.raises(TermsError, match="choose the contract"):
        redeem(
            coupon=make_coupon("FLAT", amount="5"), customer=customer, start=date(2023, 11, 1), reason="All", user=None,
            now=NOW,
        )  # fmt: skip


def test_a_discount_of_the_contract_comes_off_each_period_and_keeps_no_rest() -> None:
    contract = subscribed("in_arrears")
    discount = agreed(contract, "discount", amount="150")
    use(contract, "2023-12-10", 10000)
    (first,) = bill_and_issue("2023-12-01")
    assert first.total == 0
    (second,) = bill_and_issue("2024-01-01")
    assert (second.total, second.lines.filter(kind="discount").count()) == (50, 2)
    end_agreement(term=discount, at=date(2024, 1, 1), reason="Over", user=None, now=NOW)
    (third,) = bill_and_issue("2024-02-01")
    assert third.total == 100


def test_the_scope_of_a_plan_covers_its_charges_and_no_other_plan() -> None:
    contract = subscribed("in_arrears")
    make_subscription(
        contract, make_version(fee("seats", "70.00", pay="in_arrears"), product="app", plan="team"), code="app"
    )
    apply(make_coupon(scope="plans", codes=["team"]), contract)
    (invoice,) = bill("2023-12-01")
    assert [each for each in printed(invoice) if "WELCOME" in each[0]] == [("Coupon WELCOME: Seats", "-7.00")]


def test_what_cannot_be_redeemed_is_refused_with_the_way_out() -> None:
    contract = subscribed()
    for coupon, words in (
        (make_coupon("OLD", valid_to=date(2023, 10, 1)), "was valid until 2023-10-01"),
        (make_coupon("NEXT", valid_from=date(2024, 1, 1)), "valid from 2024-01-01"),
        (make_coupon("EURO", amount="5", currency="EUR"), "billed in USD"),
    ):
        with pytest.raises(TermsError, match=words):
            apply(coupon, contract)
    one = make_coupon("ONE", max_redemptions=1)
    apply(one, contract)
    with pytest.raises(TermsError, match="as often as it may"):
        apply(one, subscribed())
    twice = make_coupon("TWICE")
    apply(twice, contract)
    with pytest.raises(Overlap, match="remove or undo"):
        apply(twice, contract, "2024-01-01")
    gone = make_coupon("GONE")
    retire(coupon=gone, now=NOW)
    with pytest.raises(TermsError, match="retired"):
        apply(Coupon.objects.get(code="GONE"), contract)


def test_a_redeemed_coupon_and_a_redemption_are_frozen_by_the_database() -> None:
    coupon = make_coupon()
    redemption = apply(coupon, subscribed())
    coupon.percentage = Decimal(90)
    with pytest.raises(IntegrityError, match="was redeemed"), transaction.atomic():
        coupon.save()
    coupon.refresh_from_db()
    coupon.max_redemptions = 5
    coupon.save()
    redemption.start = date(2024, 1, 1)
    with pytest.raises(Exception, match="Cannot update"), transaction.atomic():
        redemption.save()


def test_the_books_tie_with_coupons_on_fees_by_day_and_on_usage_as_used() -> None:
    contract = subscribed()
    contract_2 = make_contract(start=date(2023, 11, 15), anchor_day=15)
    make_subscription(contract_2, make_version(fee("seats", "90.00"), product="app", plan="team"))
    apply(make_coupon(percentage="20"), contract)
    apply(make_coupon("SPLIT", percentage="50"), contract_2, "2023-11-15")
    use(contract, "2023-11-10", 10000)
    bill_and_issue("2023-11-15")
    bill_and_issue("2023-12-01")
    post_documents(now=LATE)
    close_period(entity=contract.entity, month=date(2023, 11, 1), user=None, now=LATE, recognise_first=True)
    assert ties().hold
    november = sum(each.amount for each in Recognition.objects.filter(month=date(2023, 11, 1)))
    assert november == Decimal(100 + 100 - 20 - 20) + Decimal(45) * 16 / 30


def test_what_terms_would_bill_tells_of_coupons() -> None:
    contract = subscribed("in_arrears")
    apply(make_coupon(), contract)
    use(contract, "2023-11-10", 10000)
    (expected,) = under({}, contract)
    assert (expected.total, [line.kind for line in expected.lines]) == (180, ["recurring", "usage", "coupon", "coupon"])


def test_coupons_cost_the_same_queries_however_many_contracts_have_them() -> None:
    coupon = make_coupon(duration="forever")

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            bill("2023-12-01")
        Invoice.objects.all().delete()
        return len(captured)

    apply(coupon, subscribed())
    queries()
    one = queries()
    for _ in range(3):
        contract = subscribed()
        apply(coupon, contract)
        agreed(contract, "minimum_spend", amount="300", products=["api"])
    queries()
    assert queries() <= one + 2

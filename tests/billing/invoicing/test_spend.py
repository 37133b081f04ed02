"""What is agreed on spending: minimums, maximums and commitments over several charges, through to issued lines."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.catalog.models import Subscription
from billing.catalog.services import end_subscription
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.services import end_term, make_ramp, set_term, undo_term
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.documents import preview_pdf
from billing.invoicing.models import Invoice, InvoiceLine, RunOutcome, Stream
from billing.periods import Period
from customers.models import Contract
from revenue.ledger.models import Recognition
from revenue.ledger.services import close_period, post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.test_whatif import under
from tests.factories import (
    NOW,
    amounts,
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
LATE = datetime(2024, 12, 1, tzinfo=UTC)


def use(contract: Contract, day: str, tokens: int) -> None:
    send_events(subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens}, now=LATE)


def subscribed(contract: Contract | None = None, pay: str = "in_arrears") -> Subscription:
    """Platform at USD 100.00 a month, and tokens at USD 0.01."""
    return make_subscription(contract or make_contract(), make_version(fee(pay=pay), usage()))


def agree(
    subscription: Subscription, kind: str, amount: str, start: str = "2023-11-01", **more: Any
) -> SubscriptionTerm:
    dates = {key: more.pop(key) for key in ("end", "periods") if key in more}
    return set_term(
        subscription=subscription, kind=kind, value={"amount": amount} | more, start=date.fromisoformat(start),
        reason="Agreed", user=None, now=NOW, **dates,
    )  # fmt: skip


def steps(line: InvoiceLine) -> list[tuple[str, str]]:
    return [(step["label"], step["amount"]) for step in line.steps]


def printed(invoice: Invoice) -> list[tuple[str, str]]:
    return [(name, f"{amount:.2f}") for name, amount in amounts(invoice)]


def test_a_minimum_spend_is_billed_once_its_period_is_complete_with_the_steps_to_it() -> None:
    subscription = subscribed(pay="in_advance")
    agree(subscription, "minimum_spend", "1000")
    use(subscription.contract, "2023-11-10", 52000)
    (first,) = bill_and_issue("2023-11-01")
    assert printed(first) == [("Platform", "100.00")]
    (second,) = bill_and_issue("2023-12-01")
    assert printed(second) == [("Platform", "100.00"), ("Tokens", "520.00"), ("Minimum spend", "380.00")]
    line = second.lines.get(kind="minimum")
    assert steps(line) == [
        ("Minimum spend: USD 1,000.00", "1000"), ("Charges of the period: USD 620.00", "-620")]  # fmt: skip
    assert (line.charge, line.quantity, line.stream.charge_code) == (None, None, None)
    assert bill("2023-12-01") == []


def test_nothing_is_added_where_the_charges_reach_the_minimum_and_only_named_ones_count() -> None:
    reached, named = subscribed(), subscribed()
    agree(reached, "minimum_spend", "150")
    agree(named, "minimum_spend", "150", charges=["tokens"], name="Floor")
    for each in (reached, named):
        use(each.contract, "2023-11-10", 5000)
    one, other = bill("2023-12-01")
    assert printed(one) == [("Platform", "100.00"), ("Tokens", "50.00")]
    assert printed(other) == [("Platform", "100.00"), ("Tokens", "50.00"), ("Floor", "100.00")]


def test_a_maximum_spend_takes_off_what_goes_beyond_and_more_with_late_usage() -> None:
    subscription = subscribed()
    agree(subscription, "maximum_spend", "300")
    use(subscription.contract, "2023-11-10", 30000)
    (first,) = bill_and_issue("2023-12-01")
    assert printed(first)[2:] == [("Maximum spend", "-100.00")]
    assert steps(first.lines.get(kind="maximum")) == [
        ("Maximum spend: USD 300.00", "300"), ("Charges of the period: USD 400.00", "-400")]  # fmt: skip
    use(subscription.contract, "2023-11-20", 1000)
    (second,) = bill_and_issue("2023-12-01")
    assert printed(second) == [("Tokens", "10.00"), ("Maximum spend", "-10.00")]


def test_late_usage_takes_back_of_the_minimum_naming_the_line() -> None:
    subscription = subscribed()
    agree(subscription, "minimum_spend", "500")
    (first,) = bill_and_issue("2023-12-01")
    use(subscription.contract, "2023-11-20", 15000)
    use(subscription.contract, "2023-12-20", 45000)
    (second,) = bill_and_issue("2024-01-01")
    assert printed(second) == [
        ("Platform", "100.00"), ("Tokens", "450.00"), ("Tokens", "150.00"), ("Minimum spend", "-150.00")]  # fmt: skip
    back = second.lines.get(kind="minimum")
    assert (back.corrects, back.desired) == (first.lines.get(kind="minimum"), Decimal(250))
    assert bill("2024-01-01") == []


def test_a_commitment_over_its_term_is_trued_up_at_its_end_and_late_usage_lowers_that() -> None:
    subscription = subscribed()
    agree(subscription, "commitment", "1000", per="term", end=date(2024, 2, 1))
    use(subscription.contract, "2023-12-10", 30000)
    bill_and_issue("2024-01-01", now=LATE)
    assert not InvoiceLine.objects.filter(kind="true_up").exists()
    (second,) = bill_and_issue("2024-02-01", now=LATE)
    line = second.lines.get(kind="true_up")
    assert (line.description, line.amount) == ("Commitment: true-up", Decimal(400))
    assert steps(line) == [("Commitment: USD 1,000.00", "1000"), ("Charges of the term: USD 600.00", "-600")]
    use(subscription.contract, "2023-12-11", 10000)
    use(subscription.contract, "2024-02-11", 1)
    (third,) = bill_and_issue("2024-03-01", now=LATE)
    assert printed(third)[-2:] == [("Tokens", "100.00"), ("Commitment: true-up", "-100.00")]
    assert third.lines.get(kind="true_up").corrects == line


@pytest.mark.parametrize("how", ["subscription", "term"])
def test_a_commitment_that_is_cut_short_is_prorated(how: str) -> None:
    subscription = subscribed()
    term = agree(subscription, "commitment", "9100", per="term", end=date(2024, 1, 31))  # 91 days
    if how == "term":
        end_term(term=term, at=date(2023, 12, 1), reason="Ended early", user=None, now=NOW)
    else:
        end_subscription(subscription=subscription, at=date(2023, 12, 1), now=NOW)
    (first,) = bill_and_issue("2023-12-01")
    line = first.lines.get(kind="true_up")
    assert steps(line) == [
        ("Commitment: USD 3,000.00, 30/91 of USD 9,100.00", "3000"), ("Charges of the term: USD 100.00", "-100")
    ]  # fmt: skip
    assert line.amount == Decimal(2900)
    assert bill("2023-12-01") == []


def test_a_true_up_is_taken_back_where_the_early_end_is_undone() -> None:
    subscription = subscribed()
    term = agree(subscription, "commitment", "9000", per="term", end=date(2024, 1, 1))
    ended = end_term(term=term, at=date(2023, 12, 1), reason="Ended early", user=None, now=NOW)
    bill_and_issue("2023-12-01")
    undo_term(term=ended, reason="It goes on", user=None, now=NOW)
    agree(subscription, "commitment", "9000", per="term", end=date(2024, 1, 1))
    use(subscription.contract, "2023-12-20", 2000000)
    (second,) = bill_and_issue("2024-01-01")
    assert printed(second) == [
        ("Platform", "100.00"), ("Tokens", "20000.00"), ("Commitment: true-up", "-4326.23")]  # fmt: skip


def test_what_goes_beyond_a_commitment_has_its_factor_and_is_shared_over_its_charges() -> None:
    subscription = subscribed()
    agree(subscription, "commitment", "200", overage_factor="0.8")
    use(subscription.contract, "2023-11-10", 20000)
    (first,) = bill_and_issue("2023-12-01")
    assert printed(first)[2:] == [("Commitment: overage", "-20.00")]
    assert steps(first.lines.get(kind="overage")) == [
        ("Platform, beyond USD 200.00 at × 0.8", "-6.67"), ("Tokens, beyond USD 200.00 at × 0.8", "-13.33")
    ]  # fmt: skip
    assert bill("2023-12-01") == []


def test_several_agreements_stand_side_by_side() -> None:
    subscription = subscribed()
    agree(subscription, "minimum_spend", "500")
    agree(subscription, "maximum_spend", "50", charges=["platform"])
    agree(subscription, "commitment", "120", charges=["platform"], name="Platform commitment")
    agree(subscription, "commitment", "130", charges=["platform"], name="Another")
    (first,) = bill_and_issue("2023-12-01")
    assert sorted(printed(first)) == [
        ("Another: true-up", "30.00"), ("Maximum spend", "-50.00"), ("Minimum spend", "400.00"), ("Platform", "100.00"),
        ("Platform commitment: true-up", "20.00"), ("Tokens", "0.00")]  # fmt: skip
    assert Stream.objects.filter(charge_code=None).count() == 1
    assert bill("2023-12-01") == []


def test_an_agreement_that_ends_within_a_period_counts_the_same_part_of_its_charges() -> None:
    subscription = subscribed()
    term = agree(subscription, "minimum_spend", "600")
    use(subscription.contract, "2023-11-10", 10000)
    end_term(term=term, at=date(2023, 11, 16), reason="Ended", user=None, now=NOW)
    agree(subscription, "minimum_spend", "900", "2023-11-16")
    (first,) = bill_and_issue("2023-12-01")
    assert printed(first)[2:] == [("Minimum spend", "200.00"), ("Minimum spend", "350.00")]
    assert steps(first.lines.filter(kind="minimum").first() or InvoiceLine()) == [
        ("Minimum spend: USD 300.00, 1/2 of USD 600.00", "300"),
        ("Charges of the period: USD 100.00, for the days under this agreement", "-100"),
    ]
    assert bill("2023-12-01") == []


def test_a_period_that_the_contract_or_the_subscription_cuts_short_has_a_part_of_the_minimum() -> None:
    subscription = subscribed(make_contract(start=date(2023, 11, 16), anchor_day=1))
    agree(subscription, "minimum_spend", "620", "2023-11-16")
    end_subscription(subscription=subscription, at=date(2023, 12, 11), now=NOW)
    (draft,) = bill("2024-01-01")
    assert [f"{each.amount:.2f}" for each in draft.lines.filter(kind="minimum")] == ["260.00", "167.74"]


def test_a_minimum_of_a_charge_counts_as_part_of_the_charge() -> None:
    priced = usage(model="per_unit", unit_amount="0.01", minimum_amount="50")
    subscription = make_subscription(make_contract(), make_version(priced))
    agree(subscription, "minimum_spend", "70")
    use(subscription.contract, "2023-11-10", 1000)
    (draft,) = bill("2023-12-01")
    assert printed(draft) == [("Tokens", "10.00"), ("Tokens: minimum", "40.00"), ("Minimum spend", "20.00")]


def test_a_charge_of_another_cadence_counts_in_the_period_in_which_its_own_ends() -> None:
    subscription = make_subscription(
        make_contract(), make_version(fee(amount="300.00", cadence="P3M"), usage())
    )  # fmt: skip
    agree(subscription, "minimum_spend", "250")
    bill_and_issue("2023-12-01")
    assert InvoiceLine.objects.get(kind="minimum").amount == Decimal(250)
    bill_and_issue("2024-02-01", now=LATE)
    assert [line.amount for line in InvoiceLine.objects.filter(kind="minimum")] == [Decimal(250), Decimal(250)]


def test_an_agreement_that_is_undone_is_taken_back() -> None:
    subscription = subscribed()
    term = agree(subscription, "minimum_spend", "500")
    bill_and_issue("2023-12-01")
    undo_term(term=term, reason="Never agreed", user=None, now=NOW)
    use(subscription.contract, "2023-12-10", 90000)
    (second,) = bill_and_issue("2024-01-01")
    assert printed(second)[-1] == ("Minimum spend", "-400.00")


def test_what_if_shows_them_whatever_the_period_that_is_asked_for() -> None:
    subscription = subscribed()
    agree(subscription, "minimum_spend", "500")
    agree(subscription, "commitment", "2000", per="term", end=date(2024, 1, 1))
    use(subscription.contract, "2023-11-10", 10000)
    use(subscription.contract, "2023-12-10", 20000)
    (november,) = under({}, subscription.contract)
    assert [(line.kind, line.amount) for line in november.lines] == [
        ("recurring", Decimal(100)), ("usage", Decimal(100)), ("minimum", Decimal(300))]  # fmt: skip
    december = Period(datetime(2023, 12, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC))
    (found,) = under({}, subscription.contract, period=december)
    assert [(line.kind, line.amount) for line in found.lines] == [
        ("recurring", Decimal(100)), ("usage", Decimal(200)), ("true_up", Decimal(1500)), ("minimum", Decimal(200))
    ]  # fmt: skip
    assert found.problem == ""


def test_queries_do_not_grow_with_the_number_of_contracts() -> None:
    version = make_version(fee(pay="in_arrears"), usage())
    counted = []
    for size in (3, 9):
        with transaction.atomic():
            for _ in range(size):
                subscription = make_subscription(make_contract(), version)
                agree(subscription, "minimum_spend", "500")
                term = agree(subscription, "commitment", "2000", per="term", end=date(2024, 1, 1))
                end_term(term=term, at=date(2023, 12, 1), reason="Ended early", user=None, now=NOW)
            with CaptureQueriesContext(connection) as queries:
                bill("2023-12-01")
            counted.append(len(queries))
            assert RunOutcome.objects.filter(result="drafted").count() == size
            transaction.set_rollback(True)
    assert counted[0] == counted[1]


def test_its_revenue_belongs_to_the_month_in_which_it_is_complete_and_the_close_ties_out() -> None:
    subscription = subscribed()
    contract = subscription.contract
    agree(subscription, "minimum_spend", "500")
    agree(subscription, "maximum_spend", "90", charges=["platform"])
    agree(subscription, "commitment", "2000", per="term", end=date(2024, 1, 1), overage_factor="0.5")
    use(contract, "2023-11-10", 10000)
    bill_and_issue("2023-12-01", now=LATE)
    use(contract, "2023-11-11", 10000)
    bill_and_issue("2024-01-01", now=LATE)
    post_documents(now=LATE)
    for month in (date(2023, 11, 1), date(2023, 12, 1)):
        close_period(entity=contract.entity, month=month, user=None, now=LATE, recognise_first=True)
    assert ties().hold
    rows = Recognition.objects.filter(obligation__slot__isnull=False, obligation__slot__stream__charge_code=None)
    assert sorted(rows.values_list("obligation__slot__kind", "month", "amount")) == [
        ("maximum", date(2023, 11, 1), Decimal(-10)), ("maximum", date(2023, 12, 1), Decimal(-10)),
        ("minimum", date(2023, 11, 1), Decimal(200)), ("minimum", date(2023, 12, 1), Decimal(400)),
        ("true_up", date(2023, 12, 1), Decimal(1600)),
    ]  # fmt: skip


def test_the_pages_and_the_document_show_what_belongs_to_no_single_charge(client: Client) -> None:
    subscription = subscribed()
    agree(subscription, "minimum_spend", "500", name="Floor")
    agree(subscription, "maximum_spend", "90", charges=["platform"])
    (first,) = bill_and_issue("2023-12-01", now=LATE)
    post_documents(now=LATE)
    close_period(entity=first.entity, month=date(2023, 11, 1), user=None, now=LATE, recognise_first=True)
    client.force_login(get_user_model().objects.create_superuser("root", "root@acme.example", "secret"))
    page = client.get(reverse("admin:billing_invoice_change", args=[first.pk])).content.decode()
    assert "Charges of the period: USD 100.00" in page
    assert "Floor" in page
    promises = client.get(reverse("admin:revenue_obligation_changelist")).content.decode()
    assert "Agreed spending: minimum" in promises
    assert "Agreed spending: maximum" in promises
    (section,) = printed_invoice(first).sections
    (line,) = (line for line in section.lines if line.description == "Floor")
    assert [step.amount for step in line.steps] == ["500.00", "-100.00"]
    assert preview_pdf(first).startswith(b"%PDF")


def test_an_end_of_the_contract_completes_what_it_cuts_short() -> None:
    subscription = subscribed(make_contract(end=date(2023, 12, 16)))
    agree(subscription, "minimum_spend", "620")
    agree(subscription, "commitment", "1000", per="term")
    bill_and_issue("2023-12-01")
    assert not InvoiceLine.objects.filter(kind="true_up").exists()
    (last,) = bill_and_issue("2023-12-16")
    assert printed(last) == [
        ("Platform", "48.39"), ("Tokens", "0.00"), ("Commitment: true-up", "851.61"), ("Minimum spend", "251.61")
    ]  # fmt: skip
    assert bill("2024-02-01") == []


def test_a_ramp_of_commitments_has_a_true_up_for_each_step() -> None:
    subscription = subscribed()
    make_ramp(
        subscription=subscription, kind="commitment", reason="Growth", user=None, now=NOW,
        steps=[(date(2023, 11, 1), {"amount": "150"}), (date(2023, 12, 1), {"amount": "250"})],
    )  # fmt: skip
    bill_and_issue("2024-01-01")
    assert [(line.service_start.month, line.amount) for line in InvoiceLine.objects.filter(kind="true_up")] == [
        (11, Decimal(50)), (12, Decimal(150))]  # fmt: skip

"""What a contract as a whole agrees on its spending: over several subscriptions, products and charges."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.catalog.agreements.services import agree_ramp, end_agreement, undo_agreement
from billing.catalog.errors import Overlap
from billing.catalog.services import end_subscription
from billing.catalog.terms.errors import TermsError
from billing.invoicing.models import Invoice, InvoiceLine, Stream
from customers.models import Contract
from revenue.ledger.services import close_period, post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.agreed import agreed
from tests.factories import (
    NOW,
    amounts,
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
LATE = datetime(2024, 12, 1, tzinfo=UTC)


def use(contract: Contract, day: str, tokens: int) -> None:
    send_events(subject=contract.customer.external_id, time=f"{day}T12:00:00Z", data={"tokens": tokens}, now=LATE)


def two_products() -> Contract:
    """Platform at USD 100.00 and tokens at USD 0.01; seats of another product at USD 70.00; all in arrears."""
    contract = make_contract()
    make_subscription(contract, make_version(fee(pay="in_arrears"), usage()))
    make_subscription(
        contract, make_version(fee("seats", "70.00", pay="in_arrears"), product="app", plan="team"), code="app"
    )
    return contract


def printed(invoice: Invoice) -> list[tuple[str, str]]:
    return [(name, f"{amount:.2f}") for name, amount in amounts(invoice)]


def test_a_minimum_of_the_contract_counts_all_its_subscriptions_on_a_line_of_the_whole() -> None:
    contract = two_products()
    agreed(contract, "minimum_spend", amount="300")
    use(contract, "2023-11-10", 3000)
    (invoice,) = bill_and_issue("2023-12-01")
    assert printed(invoice) == [
        ("Platform", "100.00"), ("Tokens", "30.00"), ("Seats", "70.00"), ("Minimum spend", "100.00")]  # fmt: skip
    line = invoice.lines.get(kind="minimum")
    assert (line.stream.subscription, line.stream.contract) == (None, contract)
    assert str(line.stream) == f"{contract} · all charges"
    assert bill("2023-12-01") == []


def test_two_contracts_have_each_their_own_whole() -> None:
    for contract in (two_products(), make_contract()):
        agreed(contract, "minimum_spend", amount="300")
    one, other = bill_and_issue("2023-12-01")
    assert (one.total, other.total) == (300, 300)
    assert Stream.objects.filter(subscription=None).count() == 2


@pytest.mark.parametrize(
    ("what", "line"),
    [({"products": ["app"]}, "130.00"), ({"subscriptions": ["main"]}, "100.00"), 
     ({"charges": ["seats", "tokens"]}, "130.00"), ({"products": ["app"], "charges": ["platform"]}, "200.00")],
)  # fmt: skip
def test_only_what_it_names_counts(what: dict[str, list[str]], line: str) -> None:
    contract = two_products()
    agreed(contract, "minimum_spend", amount="200", **what)
    (invoice,) = bill("2023-12-01")
    assert printed(invoice)[-1] == ("Minimum spend", line)


def test_a_term_commitment_over_several_subscriptions_is_trued_up_and_late_usage_reduces_that() -> None:
    contract = two_products()
    agreed(contract, "commitment", amount="1000", per="term", end=date(2024, 2, 1))
    use(contract, "2023-12-10", 10000)
    bill_and_issue("2024-01-01", now=LATE)
    assert not InvoiceLine.objects.filter(kind="true_up").exists()
    (invoice,) = bill_and_issue("2024-02-01", now=LATE)
    assert printed(invoice)[-1] == ("Commitment: true-up", "390.00")
    use(contract, "2023-12-11", 9000)
    (later,) = bill_and_issue("2024-02-01", now=LATE)
    assert printed(later) == [("Tokens", "90.00"), ("Commitment: true-up", "-90.00")]


def test_a_subscription_that_ends_early_leaves_the_commitment_whole_and_the_contract_s_end_prorates_it() -> None:
    kept, cut = two_products(), two_products()
    for contract in (kept, cut):
        agreed(contract, "commitment", amount="910", per="term", end=date(2024, 2, 1))
        end_subscription(subscription=contract.subscriptions.get(code="app"), at=date(2023, 12, 1), now=NOW)
    Contract.objects.filter(pk=cut.pk).update(end=date(2024, 1, 1))
    bill_and_issue("2024-02-01", now=LATE)
    lines = InvoiceLine.objects.filter(kind="true_up")
    (whole,) = lines.filter(stream__contract=kept)
    (part,) = lines.filter(stream__contract=cut)
    assert whole.amount == 910 - 300 - 70
    assert part.amount == (Decimal(910) * 61 / 92).quantize(Decimal("0.01")) - 200 - 70


def test_overage_at_another_price_is_shared_pro_rata_over_its_lines() -> None:
    contract = two_products()
    agreed(
        contract, "commitment", amount="135", overage_prices={"tokens": {"model": "per_unit", "unit_amount": "0.004"}},
    )  # fmt: skip
    use(contract, "2023-11-10", 10000)
    (invoice,) = bill_and_issue("2023-12-01")
    line = invoice.lines.get(kind="overage")
    # Of USD 270.00, half lies beyond: 5,000 tokens at USD 0.004 in place of USD 50.00.
    assert line.amount == -30
    assert [(step["label"], step["amount"]) for step in line.steps] == [
        ("Tokens, beyond USD 135.00: 5,000 tokens anew", "20"), ("Tokens, beyond USD 135.00: as charged", "-50"),
    ]  # fmt: skip


def test_a_rate_card_prices_each_charge_beyond_and_leaves_the_others() -> None:
    contract = make_contract()
    meter = make_meter("requests", event_type="inference", value="requests", unit="request")
    make_subscription(
        contract,
        make_version(usage(), usage("requests", meter, model="per_unit", unit_amount="1"), fee(pay="in_arrears")),
    )
    send_events(
        subject=contract.customer.external_id, time="2023-11-10T12:00:00Z", data={"tokens": 20000, "requests": 100},
    )  # fmt: skip
    agreed(
        contract, "commitment", amount="200", overage_prices={
            "tokens": {"model": "per_unit", "unit_amount": "0.02"},
            "requests": {"model": "graduated", "tiers": [
                {"up_to": "10", "unit_amount": "2"}, {"up_to": None, "unit_amount": "0.5"}]},
        },
    )  # fmt: skip
    (invoice,) = bill("2023-12-01")
    assert invoice.lines.get(kind="overage").amount == (200 - 100) + (20 + 20 - 50)


def test_a_ramp_has_an_amount_for_each_year_of_the_contract() -> None:
    contract = two_products()
    agree_ramp(
        contract=contract, kind="commitment", reason="Order form", user=None, now=NOW, end=date(2025, 11, 1),
        steps=[(date(2023, 11, 1), {"amount": "2400", "per": "term", "name": "Year 1"}),
               (date(2024, 11, 1), {"amount": "3600", "per": "term", "name": "Year 2"})],
    )  # fmt: skip
    bill_and_issue("2025-11-01", now=LATE)
    lines = InvoiceLine.objects.filter(kind="true_up").order_by("slot__cycle_start")
    assert [(line.description, line.amount) for line in lines] == [
        ("Year 1: true-up", 2400 - 12 * 170), ("Year 2: true-up", 3600 - 12 * 170)]  # fmt: skip


def test_ended_early_it_is_prorated_and_undone_it_is_taken_back() -> None:
    contract = two_products()
    term = agreed(contract, "commitment", amount="910", per="term", end=date(2024, 2, 1))
    shorter = end_agreement(term=term, at=date(2023, 12, 1), reason="Renegotiated", user=None, now=NOW)
    (invoice,) = bill_and_issue("2023-12-01")
    line = invoice.lines.get(kind="true_up")
    assert line.amount == (Decimal(910) * 30 / 92).quantize(Decimal("0.01")) - 170
    undo_agreement(term=shorter, reason="Never signed", user=None, now=NOW)
    (back,) = bill_and_issue("2024-01-01")
    assert printed(back)[-1] == ("Commitment: true-up", f"{-line.amount:.2f}")


def test_what_does_not_fit_is_refused() -> None:
    contract = two_products()
    agreed(contract, "minimum_spend", amount="10")
    with pytest.raises(Overlap, match="agreed for the same charges"):
        agreed(contract, "minimum_spend", amount="20", start="2024-01-01")
    for value, words in (
        ({"amount": "1", "charges": ["nothing"]}, "no “nothing” among the charges"),
        (
            {"amount": "1", "overage_factor": "2", "overage_prices": {"tokens": {"model": "flat", "amount": "1"}}},
            "not both",
        ),
        (
            {"amount": "1", "charges": ["seats"], "overage_prices": {"tokens": {"model": "flat", "amount": "1"}}},
            "does not count",
        ),
        ({"amount": "1", "per": "term"}, "needs an end"),
        ({"amount": "1", "overage_prices": {"tokens": {"model": "flat", "amount": "1", "currency": "EUR"}}}, "in USD"),
    ):
        with pytest.raises(TermsError, match=words):
            agreed(contract, "commitment", **value)


def test_the_books_tie_with_what_the_whole_contract_agreed() -> None:
    contract = two_products()
    agreed(contract, "minimum_spend", amount="300")
    agreed(contract, "discount", percentage="10")
    (invoice,) = bill_and_issue("2023-12-01")
    assert invoice.total == 270
    post_documents(now=LATE)
    close_period(entity=contract.entity, month=date(2023, 11, 1), user=None, now=LATE, recognise_first=True)
    assert ties().hold

"""Taxes on drafts, invoices and corrections: who is taxed how, by which rate, and that everything ties."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import override_settings

from billing.catalog.models import Product
from billing.catalog.services import end_subscription
from billing.invoicing.models import Invoice, RunOutcome
from billing.invoicing.services import approve
from billing.invoicing.taxes.models import InvoiceTax, TaxRate
from billing.invoicing.taxes.providers import Answers, Sale
from billing.invoicing.taxes.rules import Tax
from billing.invoicing.taxes.services import set_rate, set_tax_code
from billing.verification.services import verify
from customers.errors import CustomerError
from customers.models import Contract, Customer, TaxSetup
from customers.taxation.services import set_up_tax, take_back, treat
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
EVER = date(2023, 1, 1)


def rate(percentage: str = "19", code: str = "de-vat", **fields: Any) -> TaxRate:
    given = {"name": "VAT", "country": "DE", "start": EVER, "reason": "The law."} | fields
    return set_rate(code=code, percentage=Decimal(percentage), now=NOW, **given)


def taxed(**fields: Any) -> TaxSetup:
    return set_up_tax(**{"entity": make_entity(), "start": EVER, "reason": "Registered.", "now": NOW} | fields)


def subscribed(*charges: dict[str, Any], customer: Customer | None = None, **fields: Any) -> Contract:
    contract = make_contract(customer, **fields)
    make_subscription(contract, make_version(*(charges or [fee()])))
    return contract


def told(invoice: Invoice) -> list[tuple[str, str, str, str]]:
    """Code, percentage, net and tax of each tax."""
    return [
        (each.code, f"{each.percentage.normalize():f}", f"{each.net:.2f}", f"{each.tax:.2f}")
        for each in invoice.taxes.all()
    ]


def held() -> str:
    """Why the last run held a contract."""
    return RunOutcome.objects.filter(result="held").latest("pk").reason


def equal(invoices: Sequence[Invoice]) -> bool:
    return all(each.result == "equal" for each in verify(invoice_ids=[each.pk for each in invoices]))


def test_a_draft_carries_the_rate_of_the_sellers_country_and_total_is_net_and_tax() -> None:
    taxed()
    rate()
    subscribed()
    (invoice,) = bill_and_issue("2023-11-01")
    assert (invoice.net, invoice.tax, invoice.total) == (100, 19, 119)
    assert told(invoice) == [("de-vat", "19", "100.00", "19.00")]
    assert equal([invoice])


def test_without_a_word_about_tax_there_is_none() -> None:
    rate()
    subscribed()
    (invoice,) = bill("2023-11-01")
    assert (invoice.tax, invoice.total, told(invoice)) == (0, 100, [])


def test_the_rate_is_that_of_the_last_day_of_service_or_of_the_first() -> None:
    rate()
    rate("16", start=date(2023, 11, 30))
    taxed()
    subscribed()
    (draft,) = bill("2023-11-01")
    assert draft.tax == 16
    taxed(point="service_start")
    (draft,) = bill("2023-11-01")
    assert draft.tax == 19


def test_a_rate_that_ended_and_an_unknown_tax_code_hold_the_contract_with_the_way_out() -> None:
    rate(end=date(2023, 11, 2))
    taxed()
    subscribed()
    assert bill("2023-11-01") == []
    assert "The table of tax rates has none for what has no tax code in DE on 2023-11-30" in held()
    rate()
    assert [each.tax for each in bill("2023-11-01")] == [19]


def test_a_tax_code_is_the_charges_own_before_its_products() -> None:
    rate()
    rate("7", code="de-vat-reduced", category="reduced")
    taxed()
    subscribed(fee(), fee("books", "50.00", tax_code="reduced"))
    (draft,) = bill("2023-11-01")
    assert told(draft) == [("de-vat", "19", "100.00", "19.00"), ("de-vat-reduced", "7", "50.00", "3.50")]
    set_tax_code(product=Product.objects.get(), category="reduced", start=EVER, reason="A book.", now=NOW)
    (draft,) = bill("2023-11-01")
    assert told(draft) == [("de-vat-reduced", "7", "150.00", "10.50")]


def test_several_taxes_stand_on_a_line_and_a_compound_one_is_on_those_before_it() -> None:
    rate("5", code="gst", name="GST", country="CA")
    rate("9.5", code="qst", name="QST", country="CA", region="QC", compound=True)
    taxed()
    customer = make_customer()
    treat(customer=customer, start=EVER, treatment="standard", country="ca", region="QC", reason="Moved.", now=NOW)
    subscribed(customer=customer)
    (invoice,) = bill_and_issue("2023-11-01")
    assert told(invoice) == [("gst", "5", "100.00", "5.00"), ("qst", "9.5", "100.00", "9.98")]
    assert equal([invoice])


def test_reverse_charge_and_exemption_print_their_text_from_a_day_on() -> None:
    rate()
    taxed()
    customer = make_customer(tax_id="FR123")
    treat(
        customer=customer, start=date(2023, 12, 1), treatment="reverse_charge", note="Steuerschuldnerschaft",
        reason="VAT number checked.", now=NOW,
    )  # fmt: skip
    subscribed(customer=customer)
    november, *_ = bill_and_issue("2023-11-01")
    december, *_ = bill_and_issue("2023-12-01")
    assert (november.tax, december.tax) == (19, 0)
    row = december.taxes.get()
    assert (row.treatment, row.note, row.net) == ("reverse_charge", "Steuerschuldnerschaft", 100)
    assert equal([november, december])


def test_reverse_charge_needs_a_tax_number_and_what_is_not_taxed_its_text() -> None:
    with pytest.raises(CustomerError, match="Reverse charge needs the tax number"):
        treat(customer=make_customer(), start=EVER, treatment="reverse_charge", note="x", reason="x", now=NOW)
    with pytest.raises(ValidationError, match="needs the text that must be printed"):
        treat(customer=make_customer(), start=EVER, treatment="exempt", reason="x", now=NOW)


def test_a_treatment_by_one_seller_goes_before_one_by_all_and_can_be_taken_back() -> None:
    rate()
    taxed()
    customer = make_customer()
    said = {"customer": customer, "start": EVER, "reason": "School.", "now": NOW}
    treat(**said, treatment="exempt", note="Exempt.")
    own = treat(**said, treatment="standard", entity=make_entity())
    subscribed(customer=customer)
    assert bill("2023-11-01")[0].tax == 19
    take_back(fact=own, now=NOW)
    assert bill("2023-11-01")[0].tax == 0


def test_a_credit_keeps_the_rate_of_the_line_that_it_corrects_and_gives_back_all_of_its_tax() -> None:
    rate()
    taxed()
    contract = subscribed(fee(amount="33.33"))
    bill_and_issue("2023-11-01")
    rate("25", start=date(2023, 11, 1), reason="A new law.")
    end_subscription(subscription=contract.subscriptions.get(), at=date(2023, 11, 1), now=NOW)
    (note,) = bill_and_issue("2023-11-02")
    assert (note.kind, note.net, note.tax) == ("credit_note", Decimal("-33.33"), Decimal("-6.33"))
    assert told(note) == [("de-vat", "19", "-33.33", "-6.33")]
    assert equal(list(Invoice.objects.all()))


def test_late_usage_is_taxed_at_the_rate_of_the_first_bill() -> None:
    rate()
    taxed()
    contract = subscribed(usage())
    send_events(subject=contract.customer.external_id, time="2023-11-05T00:00:00Z", data={"tokens": 1000})
    bill_and_issue("2023-12-01")
    rate("25", start=date(2023, 11, 1), reason="A new law.")
    send_events(subject=contract.customer.external_id, time="2023-11-06T00:00:00Z", data={"tokens": 500})
    (late,) = bill_and_issue("2023-12-02")
    assert told(late) == [("de-vat", "19", "5.00", "0.95")]
    assert equal(list(Invoice.objects.all()))


@pytest.mark.parametrize(("rounding", "tax"), [("document", "0.11"), ("line", "0.12")])
def test_tax_is_rounded_once_per_rate_or_on_each_line(rounding: str, tax: str) -> None:
    rate("10")
    taxed(rounding=rounding)
    subscribed(*(fee(code, "0.37") for code in ("a", "b", "c")))
    (invoice,) = bill_and_issue("2023-11-01")
    assert (invoice.net, invoice.tax) == (Decimal("1.11"), Decimal(tax))


class Broken:
    remembers = False

    def taxes(self, sales: Sequence[Sale]) -> Answers:
        raise TimeoutError("no answer in 5 s")


class Flat:
    remembers = False

    def taxes(self, sales: Sequence[Sale]) -> Answers:
        return {sale: [Tax("us-tx", "Sales tax", Decimal("8.25"))] for sale in sales}


@override_settings(TAX_PROVIDERS={"broken": f"{__name__}.Broken", "flat": f"{__name__}.Flat"})
def test_a_provider_can_be_plugged_in_and_one_that_fails_holds_the_contract_with_the_reason() -> None:
    taxed(provider="broken")
    subscribed()
    assert bill("2023-11-01") == []
    reason = held()
    assert reason.startswith("The tax provider “broken” failed: no answer in 5 s")
    taxed(provider="flat")
    (invoice,) = bill_and_issue("2023-11-01")
    assert told(invoice) == [("us-tx", "8.25", "100.00", "8.25")]
    assert equal([invoice])


def test_an_unknown_provider_holds_the_contract() -> None:
    taxed(provider="nobody")
    subscribed()
    assert bill("2023-11-01") == []
    assert "There is no tax provider “nobody”" in held()


def test_taxes_of_what_is_issued_are_frozen_and_an_approved_tax_is_that_of_its_lines() -> None:
    rate()
    taxed()
    subscribed()
    (draft,) = bill("2023-11-01")
    with transaction.atomic():
        Invoice.objects.filter(pk=draft.pk).update(tax=20, total=120)
        assert "out of date" in approve(invoice_ids=[draft.pk], user=None, now=NOW).skipped[0][1]
        transaction.set_rollback(True)
    approve(invoice_ids=[draft.pk], user=None, now=NOW)
    for change in (lambda: InvoiceTax.objects.update(tax=1), lambda: InvoiceTax.objects.all().delete()):
        with pytest.raises(IntegrityError, match="are frozen"), transaction.atomic():
            change()


def test_tax_costs_the_same_queries_however_many_contracts(django_assert_max_num_queries: Any) -> None:
    rate()
    taxed()
    for _ in range(5):
        subscribed()
    with django_assert_max_num_queries(110):
        assert len(bill("2023-11-01")) == 5

"""Lines of every kind explain themselves: price, steps, what was billed, usage and events, as they were known."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.catalog.services import change_subscription
from billing.catalog.terms.services import set_term
from billing.invoicing.concessions.services import credit
from billing.invoicing.document_context import Writer
from billing.invoicing.explaining.events import events_csv, sample_of
from billing.invoicing.explaining.printing import PrintedExplanation, printed
from billing.invoicing.explaining.queries import explanations_of
from billing.invoicing.explaining.values import Explanation
from billing.invoicing.manual import services as manual
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.taxes.services import set_rate
from billing.invoicing.voiding.services import void
from billing.metering import names, partitions
from billing.money import round_money
from config.scenario.read import read
from config.scenario.run import _Run
from customers.models import Contract
from customers.taxation.services import set_up_tax
from tests import scenarios
from tests.billing.invoicing.agreed import agreed, apply, make_coupon
from tests.billing.papers import make_paper
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_entity,
    make_meter,
    make_subscription,
    make_version,
    send_events,
    usage,
)

WHO: dict[str, Any] = {"reason": "Ticket 12", "user": None, "now": NOW}
LATER = NOW + timedelta(days=40)
SCENARIOS = sorted(Path(scenarios.__path__[0]).glob("*.json"))


def used(contract: Contract, tokens: int = 1000, day: int = 10, now: datetime = NOW) -> None:
    data = {"tokens": tokens, "model": "gpt"}
    send_events(subject=contract.customer.external_id, time=f"2023-11-{day:02}T12:00:00Z", data=data, now=now)


def explained(invoice: Invoice) -> dict[str, Explanation]:
    """By what the line is called."""
    return {each.line.description: each for each in explanations_of(invoice)}


def words(explanation: Explanation, locale: str = "en-GB") -> PrintedExplanation:
    return printed(explanation, Writer(locale=locale, currency=explanation.currency))


def ties(explanation: Explanation) -> None:
    """The steps, rounded, are what is wanted; less what was billed before, they are the line."""
    line = explanation.line
    assert explanation.wanted - (line.billed_before or 0) == line.amount
    rounded_twice = line.tax_included is not None
    if explanation.summed is not None and not rounded_twice:
        assert round_money(explanation.summed, explanation.currency) == explanation.wanted
    assert explanation.billed[-1].stands == sum(each.line.amount for each in explanation.billed)
    assert [each.place for each in explanation.billed].count("this") == 1
    assert words(explanation).sentences


@pytest.mark.django_db
def test_a_price_comes_from_a_version_a_change_and_the_customers_own_terms_as_they_were_known() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(fee(), usage()))
    better = make_version(fee(amount="80.00"), usage())
    change_subscription(
        subscription=subscription, at=date(2023, 11, 16), version=better, reason="Renewed early", user=None, now=NOW
    )
    set_term(subscription=subscription, kind="discount", code="tokens", value={"percentage": "10"},
             start=date(2023, 11, 1), reason="Signed by Ada", user=None, now=NOW)  # fmt: skip
    used(contract)
    (invoice,) = bill_and_issue("2023-12-01")
    set_term(subscription=subscription, kind="factor", code="tokens", value={"factor": "2"},
             start=date(2023, 11, 1), reason="Too late", user=None, now=LATER)  # fmt: skip
    told = explained(invoice)["Tokens"]
    (before, after) = told.origins
    assert [(each.plan, each.number) for each in (before, after)] == [("Pro", 1), ("Pro", 2)]
    assert [(each.label, each.words, each.reason) for each in before.agreed] == [
        ("Discount", "less 10 %", "Signed by Ada")
    ]
    assert "USD 0.01 per token" in before.price
    assert after.change is not None
    assert after.change.reason == "Renewed early"
    (first, second) = words(told).prices
    assert second == ("16–30 Nov 2023", "Pro, version 2, with what was agreed with you: discount")
    assert first[1].startswith("Pro, version 1")
    assert "Signed by Ada" not in repr(words(told))
    ties(told)


@pytest.mark.django_db
def test_late_usage_says_what_came_what_stood_and_what_the_earlier_line_became() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage()))
    used(contract)
    (invoice,) = bill_and_issue("2023-12-01")
    used(contract, 500, now=LATER)
    (draft,) = bill("2023-12-01", now=LATER)
    late, early = explained(draft)["Tokens"], explained(invoice)["Tokens"]
    assert late.sentences == ("usage", "usage_again")
    said = words(late)
    assert said.sentences[-1] == "1 event came late: 1,500 tokens instead of 1,000."
    assert said.sums[-2:] == [("Already billed", "-10.00"), ("This line", "USD 5.00")]
    assert said.billed == [(f"{invoice.number}, line 1", "10.00", "10.00"), ("This line", "5.00", "15.00")]
    assert [each.place for each in early.billed] == ["this", "after"]
    assert words(early).billed == []  # a draft is not told to customers
    assert (late.events, early.events) == (2, 1)
    assert [each.id for each in sample_of(early)] == [each.id for each in sample_of(late)[1:]] != []
    ties(late)
    ties(early)


@pytest.mark.django_db
def test_what_is_no_price_says_what_was_agreed_or_said_by_hand_and_why() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    agreed(contract, "minimum_spend", amount="500")
    apply(make_coupon(), contract)
    used(contract)
    bill("2023-12-01")
    more: dict[str, Any] = {"due_on": date(2023, 12, 1)} | WHO
    manual.add_line(contract=contract, text="Set-up", amount=Decimal(50), first=date(2023, 12, 1),
                    last=date(2023, 12, 1), **more)  # fmt: skip
    manual.add_discount(contract=contract, text="Goodwill", percentage=Decimal(5), **more)
    (invoice,) = bill_and_issue("2023-12-01")
    found = explanations_of(invoice)
    kinds = {(each.sentences[0], each.agreed[0].reason) for each in found if each.agreed}
    assert kinds == {
        ("minimum_spend", "Order form"), ("coupon", "Signed up"), ("manual", "Ticket 12"), ("manual_off", "Ticket 12"),
    }  # fmt: skip
    minimum = next(each for each in found if each.sentences[0] == "minimum_spend")
    assert minimum.agreed[0].words == "at least USD 500.00 a period"
    assert words(minimum).prices == [("", "Agreed with you: minimum spend")]
    for each in found:
        ties(each)


@pytest.mark.django_db
def test_a_credit_names_what_it_credits_and_the_line_what_is_left() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage()))
    used(contract)
    (invoice,) = bill_and_issue("2023-12-01")
    line = invoice.lines.get()
    credit(invoice_id=invoice.pk, amounts={line.pk: Decimal("2.50")}, **WHO)
    note = explanations_of(Invoice.objects.get(state="draft"))[0]
    assert words(note).sentences == [f"A credit of {invoice.number}, line 1."]
    assert words(note, "de-DE").sentences == [f"Eine Gutschrift zu {invoice.number}, Position 1."]
    assert note.agreed[0].reason == "Ticket 12"
    assert [each.stands for each in explanations_of(invoice)[0].billed] == [Decimal(10), Decimal("7.5")]
    ties(note)


@pytest.mark.django_db
def test_a_change_credits_the_old_fee_by_its_own_price_and_says_which_line() -> None:
    contract = make_contract()
    subscription = make_subscription(contract, make_version(fee()))
    (invoice,) = bill_and_issue("2023-11-01")
    change_subscription(subscription=subscription, at=date(2023, 11, 16), version=make_version(fee(amount="200.00")),
                        now=LATER)  # fmt: skip
    (draft,) = bill("2023-11-16", now=LATER)
    found = {each.sentences[0]: each for each in explanations_of(draft)}
    back, new = found["fee_back"], found["fee_part"]
    assert words(back).sentences == [f"This line takes back what {invoice.number}, line 1 charged for 16–30 Nov 2023."]
    assert [origin.number for origin in back.origins] == [1]
    assert [origin.number for origin in new.origins] == [2]
    assert words(new).sentences == ["A fee for 16–30 Nov 2023: 15 of 30 days."]
    assert [each.stands for each in back.billed] == [Decimal(100), Decimal(50)]
    for each in found.values():
        ties(each)


@pytest.mark.django_db
def test_the_lines_of_a_reversal_say_what_was_voided_and_those_of_the_void_document_what_became_of_them() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    used(contract)
    (invoice,) = bill_and_issue("2023-12-01")
    reversal = Invoice.objects.get(pk=void(invoice_id=invoice.pk, **WHO).pk)
    for each in explanations_of(reversal):
        assert words(each).sentences == [f"{invoice.number} was voided: this line takes back one of its lines."]
        assert [agreed.reason for agreed in each.agreed] == ["Ticket 12"]
        assert "Ticket 12" not in repr(words(each))
        ties(each)
    told = explained(invoice)["Tokens"]
    assert [each.stands for each in told.billed] == [10, 0, 10]  # the last is that of the next draft
    assert words(told).billed[-1] == (f"{reversal.number}, line 3", "-10.00", "0.00")


@pytest.mark.django_db
def test_taxes_of_a_line_are_told_with_how_they_came_about() -> None:
    set_up_tax(entity=make_entity(), start=date(2023, 1, 1), reason="Registered.", now=NOW)
    set_rate(code="de-vat", name="VAT", country="DE", percentage=Decimal(19), start=date(2023, 1, 1), reason="Law.",
             now=NOW)  # fmt: skip
    contract = make_contract(prices=Contract.Prices.INCLUSIVE)
    make_subscription(contract, make_version(fee(amount="119.00")))
    (draft,) = bill("2023-11-01")
    (told,) = explanations_of(draft)
    said = words(told)
    assert said.taxes == [("VAT 19 %", "19.00")]
    assert said.tax_notes == ["The price holds this tax."]
    assert [step.label for step in said.steps] == ["Flat fee", "Tax in the price"]
    ties(told)


@pytest.mark.django_db
def test_the_file_of_events_has_each_one_that_was_counted_then_and_nothing_a_spreadsheet_computes() -> None:
    contract = make_contract()
    make_subscription(contract, make_version(usage(meter=make_meter(group_by=["model"]))))
    used(contract, 10, day=2)
    send_events(id="=1+1", subject=contract.customer.external_id, time="2023-11-30T23:30:00Z",
                data={"tokens": 2, "model": "x"}, source="@gate")  # fmt: skip
    (invoice,) = bill_and_issue("2023-12-01")
    used(contract, 99, day=3, now=LATER)
    (told,) = explanations_of(invoice)
    rows = list(csv.DictReader(io.StringIO("".join(events_csv(told, internal=True)))))
    assert [(row["id"][:2], row["model"], row["quantity"]) for row in rows][1] == ("'=", "x", "2")
    assert (len(rows), rows[1]["source"], rows[1]["time"]) == (2, "'@gate", "2023-11-30T23:30:00+00:00")
    outside = "".join(events_csv(told, internal=False))
    assert "gate" not in outside
    assert contract.customer.external_id not in outside
    assert told.events == len(rows) == 2


@pytest.mark.django_db
def test_a_meter_that_carries_its_value_on_tells_the_events_before_the_period_too() -> None:
    contract = make_contract(start=date(2023, 12, 1))
    make_subscription(contract, make_version(usage(meter=make_meter("stored", recurring=True))))
    used(contract, 10, day=2)
    send_events(subject=contract.customer.external_id, time="2023-12-05T00:00:00Z", data={"tokens": 5})
    (invoice,) = bill_and_issue("2024-01-01", now=datetime(2024, 1, 1, 9, tzinfo=UTC))
    (told,) = explanations_of(invoice)
    assert (told.line.quantity, told.events) == (15, 2)
    assert len("".join(events_csv(told, internal=True)).splitlines()) == 3


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_lines_or_days(django_assert_max_num_queries: Any) -> None:
    paper = make_paper(days=30)
    with django_assert_max_num_queries(38):
        found = explanations_of(paper)
    assert len(found) == 4
    for each in found:
        ties(each)
    assert words(found[2], "ja-JP").usage is not None
    assert words(found[2], "de-DE").events == "Gezählte Ereignisse: 30."


@pytest.mark.django_db
@pytest.mark.deep
@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_every_line_of_every_scenario_explains_itself(file: Path) -> None:
    _Run(read(file.read_text(), file.name)).whole()
    lines = 0
    for invoice in Invoice.objects.all():
        for each in explanations_of(invoice):
            ties(each)
            assert each.origins or each.agreed or each.line.corrects_id, each.line
            lines += 1
    assert lines == InvoiceLine.objects.count()
    names.forget()
    partitions.forget()

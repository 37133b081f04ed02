"""Which lines stand on which document: payers, groups, sellers, currencies, and negative totals."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.catalog.services import change_subscription, end_subscription
from billing.invoicing.models import Invoice, NumberSeries, RunOutcome
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.payments.errors import TakesNoPayment
from billing.payments.queries import with_standing
from billing.payments.services import record_payment
from customers.errors import OthersContract
from customers.services import set_payer, undo_payer
from revenue.ledger.services import post_documents
from revenue.ledger.ties import ties
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


def standing(**only: object) -> list[tuple[str, str, Decimal]]:
    """Kind, payer and total of every invoice, in the order in which they were made."""
    rows = Invoice.objects.filter(**only).order_by("id").values_list("kind", "customer__external_id", "total")
    return [(kind, customer, total) for kind, customer, total in rows]


def test_it_works() -> None:
    """Several contracts and products of a customer stand on one invoice; a second run changes nothing."""
    customer = make_customer("acme")
    for product, amount in (("api", "100.00"), ("studio", "20.00")):
        make_subscription(make_contract(customer), make_version(fee(product, amount), product=product, plan=product))
    (draft,) = bill("2023-11-01")
    assert draft.total == Decimal("120.00")
    assert draft.contract is None
    assert [line.stream.contract.number for line in draft.lines.all()] == sorted(
        customer.contracts.values_list("number", flat=True), key=lambda number: int(number[2:])
    )
    stamp = draft.updated_at
    run_billing(as_of=date(2023, 11, 1), now=NOW.replace(day=2), full=True)
    draft.refresh_from_db()
    assert draft.updated_at == stamp
    assert set(RunOutcome.objects.order_by("-id")[:2].values_list("result", flat=True)) == {"unchanged"}
    (issued,) = bill_and_issue("2023-11-01")
    assert issued.due_date == date(2024, 1, 31)
    assert issued.terms["contract"] == ""
    assert [each["contract"] for each in issued.terms["contracts"]] == [
        line.stream.contract.number for line in draft.lines.all()
    ]
    post_documents(now=NOW)
    assert ties().hold


def test_a_run_over_one_contract_leaves_the_lines_of_the_others_on_the_draft() -> None:
    customer = make_customer()
    one, two = make_contract(customer), make_contract(customer)
    for contract in (one, two):
        make_subscription(contract, make_version(fee(amount="10"), plan=f"p{contract.pk}"))
    bill("2023-11-01")
    make_subscription(two, make_version(fee("extra", "5"), plan="extra"), code="extra")
    (draft,) = bill("2023-11-01", two)
    assert draft.total == 25
    assert list(draft.lines.values_list("position", "stream__contract")) == [(1, one.pk), (2, two.pk), (3, two.pk)]


def test_groups_sellers_and_currencies_have_documents_of_their_own() -> None:
    customer = make_customer("acme")
    version = make_version(fee(amount="10"), currencies=("USD", "EUR"))
    other = make_entity("acme-us", name="Acme Inc.")
    for fields in ({}, {"invoice_group": "Research"}, {"entity": other}, {"currency": "EUR"}, {"currency": "EUR"}):
        make_subscription(make_contract(customer, **fields), version)
    found = [(each.group, each.entity.code, each.currency, each.total) for each in bill("2023-11-01")]
    assert sorted(found) == [
        ("", "acme", "EUR", 20), ("", "acme", "USD", 10), ("", "acme-us", "USD", 10), ("Research", "acme", "USD", 10),
    ]  # fmt: skip
    issued = bill_and_issue("2023-11-01")
    assert {each.number for each in issued if each.entity == other} == {"ACME-US-000001"}
    post_documents(now=NOW)
    assert ties().hold


def test_a_parent_pays_for_its_children() -> None:
    parent, children = make_customer("parent"), [make_customer("north"), make_customer("south")]
    for customer, amount in zip([parent, *children], ("1", "20", "300"), strict=True):
        make_subscription(make_contract(customer), make_version(fee(amount=amount), plan=amount))
    for child in children:
        set_payer(customer=child, payer=parent, start=date(2023, 11, 1), now=NOW)
    bill("2023-11-01")
    assert standing() == [("invoice", "parent", Decimal(321))]
    assert [line.stream.contract.customer for line in Invoice.objects.get().lines.all()] == [parent, *children]


def test_one_contract_is_paid_by_another_customer_and_the_fact_can_be_undone() -> None:
    parent, child = make_customer("parent"), make_customer("child")
    one, two = make_contract(child), make_contract(child)
    for contract in (one, two):
        make_subscription(contract, make_version(fee(amount="10"), plan=f"p{contract.pk}"))
    fact = set_payer(customer=child, contract=two, payer=parent, start=date(2023, 11, 1), now=NOW)
    bill("2023-11-01")
    assert sorted(standing()) == [("invoice", "child", 10), ("invoice", "parent", 10)]
    undo_payer(fact=fact, now=NOW)
    bill("2023-11-01")
    assert standing() == [("invoice", "child", 20)]
    with pytest.raises(OthersContract, match="is not one of"):
        set_payer(customer=parent, contract=two, payer=child, start=date(2023, 11, 1), now=NOW)


def test_a_customer_moved_with_a_draft_open_takes_its_lines_to_the_new_payers_draft() -> None:
    parent, child = make_customer("parent"), make_customer("child")
    make_subscription(make_contract(child), make_version(fee(amount="10")))
    (old,) = bill("2023-11-01")
    set_payer(customer=child, payer=parent, start=date(2023, 11, 1), now=NOW)
    ((_, reason),) = approve(invoice_ids=[old.pk], user=None, now=NOW).skipped
    assert reason == f"Draft {old.pk} is out of date: run billing again, then approve it."
    bill("2023-11-01")
    assert standing() == [("invoice", "parent", 10)]
    assert not Invoice.objects.filter(pk=old.pk).exists()


def test_what_is_approved_stays_with_the_old_payer_and_so_do_its_corrections() -> None:
    parent, child = make_customer("parent"), make_customer("child")
    contract = make_contract(child)
    make_subscription(contract, make_version(usage()))
    send_events(subject="child", time="2023-11-10T00:00:00Z", data={"tokens": 1000})
    (first,) = bill("2023-12-01")
    approve(invoice_ids=[first.pk], user=None, now=NOW)
    set_payer(customer=child, payer=parent, start=date(2023, 12, 1), now=NOW)
    send_events(subject="child", time="2023-11-11T00:00:00Z", data={"tokens": 500})
    send_events(subject="child", time="2023-12-11T00:00:00Z", data={"tokens": 200})
    bill("2024-01-01")
    assert sorted(standing(state="draft")) == [("invoice", "child", 5), ("invoice", "parent", 2)]
    send_back(invoice_id=first.pk, user=None, reason="Late usage.", now=NOW)
    bill("2024-01-01")
    assert sorted(standing(state="draft")) == [("invoice", "child", 15), ("invoice", "parent", 2)]


def test_a_negative_net_is_issued_as_a_credit_note_in_its_own_series() -> None:
    contract = make_contract()
    subscription = make_subscription(contract)
    (billed,) = bill_and_issue("2023-11-01")
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    (note,) = bill_and_issue("2023-11-16")
    assert (note.kind, note.number, note.total) == ("credit_note", "CN-ACME-000001", Decimal("-50.00"))
    assert {line.corrects.invoice for line in note.lines.all()} == {billed}
    assert dict(NumberSeries.objects.values_list("name", "last_number")) == {"invoice": 1, "credit_note": 1}
    post_documents(now=NOW)
    assert ties().hold
    found = with_standing(Invoice.objects.filter(pk=note.pk), date(2030, 1, 1)).get()
    assert (found.standing, found.open) == ("settled", Decimal(0))
    credited = with_standing(Invoice.objects.filter(pk=billed.pk), date(2023, 11, 16)).get()
    assert credited.open == billed.total - 50
    assert bill("2023-11-16") == []


def test_a_credit_goes_to_whoever_was_billed_and_new_terms_to_whoever_pays_now() -> None:
    parent, child = make_customer("parent"), make_customer("child")
    seats = fee() | {"price": {"model": "per_unit", "unit_amount": "100.00"}}
    subscription = make_subscription(make_contract(child), make_version(seats))
    bill_and_issue("2023-11-01")
    set_payer(customer=child, payer=parent, start=date(2023, 11, 10), now=NOW)
    change_subscription(subscription=subscription, at=date(2023, 11, 16), quantity=Decimal(3), now=NOW)
    bill("2023-11-16")
    assert sorted(standing(state="draft")) == [("credit_note", "child", -50), ("invoice", "parent", 150)]


def test_a_child_that_cannot_be_billed_leaves_the_draft_to_the_others() -> None:
    parent, north, south = make_customer("parent"), make_customer("north"), make_customer("south")
    good, bad = make_contract(north), make_contract(south)
    for child in (north, south):
        set_payer(customer=child, payer=parent, start=date(2023, 11, 1), now=NOW)
    make_subscription(good, make_version(fee(amount="10"), plan="good"))
    strict = {"model": "matrix", "dimensions": ["model"], "default": None, "cells": [
        {"when": {"model": "small"}, "price": {"model": "per_unit", "unit_amount": "1"}}]}  # fmt: skip
    charge = usage(meter=make_meter("by-model", group_by=["model"]), **strict)
    make_subscription(bad, make_version(fee("base", "5"), charge, plan="bad"))
    (draft,) = bill("2023-11-01")
    assert draft.total == 15
    send_events(subject="south", time="2023-11-10T00:00:00Z", data={"tokens": 1, "model": "unheard-of"})
    (draft,) = bill("2023-12-01")
    assert {line.stream.contract for line in draft.lines.all()} == {good}
    assert draft.contract == good
    assert RunOutcome.objects.get(result="held").contract == bad


def test_a_credit_note_takes_no_payment() -> None:
    subscription = make_subscription()
    bill_and_issue("2023-11-01")
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    (note,) = bill_and_issue("2023-11-16")
    with pytest.raises(TakesNoPayment, match="choose the invoice that was paid"):
        record_payment(
            invoice_id=note.pk, amount=Decimal(1), received_on=date(2023, 12, 1), reference="", user=None, now=NOW
        )


def test_one_draft_turns_from_invoice_to_credit_note_and_back() -> None:
    contract = make_contract()
    subscription = make_subscription(contract)
    bill_and_issue("2023-11-01")
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    (note,) = bill("2023-11-16")
    make_subscription(contract, make_version(fee("extra", "80.00"), plan="extra"), code="extra")
    (turned,) = bill("2023-11-16")
    assert (note.kind, turned.kind, turned.pk) == ("credit_note", "invoice", note.pk)
    assert turned.total == 30


def test_a_held_credit_waits_with_all_that_shares_its_document() -> None:
    customer = make_customer()
    make_entity(negative="next_invoice")
    one, two = make_contract(customer), make_contract(customer)
    subscription = make_subscription(one, make_version(fee(amount="100"), plan="big"))
    bill_and_issue("2023-11-01")
    make_subscription(two, make_version(fee(amount="10"), plan="small"))
    end_subscription(subscription=subscription, at=date(2023, 11, 16), now=NOW)
    assert bill("2023-11-16") == []
    assert set(RunOutcome.objects.filter(result="held").values_list("contract", "reason")) == {
        (each.pk, "Credits outweigh charges by USD 40: they wait for a later invoice that they can be set against.")
        for each in (one, two)
    }


def test_series_of_invoices_and_credit_notes_have_no_gaps() -> None:
    customers = [make_customer() for _ in range(3)]
    subscriptions = [
        make_subscription(make_contract(each), make_version(fee(amount="30"), plan=each.external_id))
        for each in customers
    ]
    bill_and_issue("2023-11-01")
    for each in subscriptions:
        end_subscription(subscription=each, at=date(2023, 11, 16), now=NOW)
    ids = [draft.pk for draft in bill("2023-11-16")]
    approve(invoice_ids=ids, user=None, now=NOW)
    issue(invoice_ids=[*ids, *ids], user=None, now=NOW)
    for kind in Invoice.Kind.values:
        found = Invoice.objects.filter(kind=kind).order_by("sequence").values_list("sequence", flat=True)
        assert list(found) == [1, 2, 3]


def test_the_number_of_queries_grows_with_neither_contracts_nor_payers() -> None:
    def queries_for(children: int) -> int:
        parents = [make_customer(), make_customer()]
        contracts = []
        for place in range(children):
            child = make_customer()
            contracts.append(make_contract(child))
            make_subscription(contracts[-1], make_version(fee(amount="10"), plan=child.external_id))
            set_payer(customer=child, payer=parents[place % 2], start=date(2023, 11, 1), now=NOW)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            bill("2023-11-01", *contracts)
        return len(captured)

    assert queries_for(2) == queries_for(9)

"""Billing with real parallel connections: whatever happens at once, everything is billed once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from billing.invoicing.errors import WrongState
from billing.invoicing.models import Invoice, InvoiceLine, RunOutcome
from billing.invoicing.services import approve, issue, run_billing, send_back
from customers.services import set_payer
from tests.factories import (
    NOW,
    bill,
    fee,
    make_contract,
    make_customer,
    make_entity,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db(transaction=True)
DECEMBER = date(2023, 12, 1)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run each in a thread and connection of its own, all let go at the same moment."""
    gate = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            gate.wait()
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def book(size: int) -> None:
    version = make_version(fee(), usage())
    for _ in range(size):
        contract = make_contract()
        make_subscription(contract, version)
        send(contract, 100)


def send(contract: Any, tokens: int) -> None:
    send_events(subject=contract.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": tokens})


def test_it_works() -> None:
    """Two billing runs at once produce one set of invoices."""
    book(8)
    runs = at_once(*[lambda: run_billing(as_of=DECEMBER, now=NOW, full=True)] * 3)
    assert Invoice.objects.count() == 8
    assert InvoiceLine.objects.count() == 8 * 3
    assert {each.total for each in Invoice.objects.all()} == {Decimal("201.00")}
    results = [sorted(run.outcomes.values_list("result", flat=True)) for run in runs]
    assert sorted(results) == [["drafted"] * 8, ["unchanged"] * 8, ["unchanged"] * 8]


def test_two_people_who_approve_and_issue_at_once_do_it_once() -> None:
    book(6)
    ids = [draft.id for draft in bill("2023-12-01")]
    approvals = at_once(*[lambda: approve(invoice_ids=ids, user=None, now=NOW)] * 2)
    assert sum(len(each.done) for each in approvals) == 6
    issues = at_once(*[lambda: issue(invoice_ids=ids, user=None, now=NOW)] * 3)
    assert sum(len(each.done) for each in issues) == 6
    numbers = sorted(Invoice.objects.values_list("sequence", flat=True))
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_numbers_have_no_gap_when_an_issue_fails_half_way() -> None:
    book(4)
    ids = [draft.id for draft in bill("2023-12-01")]
    approve(invoice_ids=ids[:3], user=None, now=NOW)
    result = issue(invoice_ids=ids, user=None, now=NOW)
    assert len(result.skipped) == 1
    approve(invoice_ids=ids, user=None, now=NOW)
    issue(invoice_ids=ids, user=None, now=NOW)
    assert sorted(Invoice.objects.values_list("sequence", flat=True)) == [1, 2, 3, 4]


def test_a_run_an_approval_and_late_events_in_parallel_bill_everything_once() -> None:
    """However they interleave, what was used is billed in the end: once, and whole."""
    book(5)
    contracts = [draft.contract for draft in bill("2023-12-01")]
    for round_ in range(4):
        ids = list(Invoice.objects.filter(state="draft").values_list("id", flat=True))
        at_once(
            lambda: run_billing(as_of=DECEMBER, now=NOW),
            lambda ids=ids: approve(invoice_ids=ids, user=None, now=NOW),
            lambda: [send(contract, 10) for contract in contracts],
            lambda ids=ids: issue(invoice_ids=ids, user=None, now=NOW),
            lambda: run_billing(as_of=DECEMBER, now=NOW),
        )
        assert RunOutcome.objects.filter(result="failed").count() == 0, round_
    run_billing(as_of=DECEMBER, now=NOW)
    ids = list(Invoice.objects.exclude(state="issued").values_list("id", flat=True))
    approve(invoice_ids=ids, user=None, now=NOW)
    assert issue(invoice_ids=ids, user=None, now=NOW).skipped == []
    for contract in contracts:
        lines = InvoiceLine.objects.filter(stream__contract=contract)
        billed = sum(line.amount for line in lines)
        assert billed == Decimal("201.00") + 4 * Decimal("0.10")
        revisions = list(lines.filter(kind="usage").order_by("revision").values_list("revision", flat=True))
        assert revisions == list(range(1, len(revisions) + 1))


def test_an_approval_and_a_return_to_draft_at_once_leave_no_half_state() -> None:
    book(3)
    ids = [draft.id for draft in bill("2023-12-01")]
    approve(invoice_ids=ids, user=None, now=NOW)

    def back(invoice_id: int) -> None:
        with suppress(WrongState):  # the other one was faster
            send_back(invoice_id=invoice_id, user=None, reason="Look again", now=datetime(2024, 1, 2, tzinfo=UTC))

    at_once(lambda: [back(each) for each in ids], lambda: issue(invoice_ids=ids, user=None, now=NOW))
    for invoice in Invoice.objects.all():
        recorded = (
            invoice.lines.filter(revision__isnull=False).count() + invoice.lines.filter(coverage__isnull=False).count()
        )
        assert (invoice.state, recorded) in (("issued", 3), ("draft", 0))


def test_runs_and_a_change_of_payer_at_once_bill_each_line_to_one_payer() -> None:
    """Whatever comes first, the run after it brings everything to the payer in force, once."""
    parent, version = make_customer("parent"), make_version(fee(), usage())
    contracts = [make_contract() for _ in range(6)]
    for contract in contracts:
        make_subscription(contract, version)

    def move() -> None:
        for contract in contracts:
            set_payer(customer=contract.customer, payer=parent, start=date(2023, 11, 1), now=NOW)

    for _ in range(3):
        at_once(*[lambda: run_billing(as_of=DECEMBER, now=NOW)] * 2, move)
    run_billing(as_of=DECEMBER, now=NOW)
    (draft,) = Invoice.objects.all()
    assert (draft.customer, draft.total, draft.lines.count()) == (parent, Decimal("1200.00"), 18)
    assert not RunOutcome.objects.filter(result="failed").exists()


def test_series_of_two_sellers_have_no_gap_when_issued_at_once() -> None:
    version = make_version(fee())
    for code in ("one", "two"):
        for _ in range(4):
            make_subscription(make_contract(entity=make_entity(code)), version)
    drafts = bill("2023-11-01")
    approve(invoice_ids=[each.pk for each in drafts], user=None, now=NOW)
    at_once(*[lambda: issue(invoice_ids=[each.pk for each in drafts], user=None, now=NOW)] * 2)
    for code in ("one", "two"):
        found = Invoice.objects.filter(entity__code=code).order_by("sequence").values_list("sequence", flat=True)
        assert list(found) == [1, 2, 3, 4]

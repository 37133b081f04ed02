"""What the database refuses by itself, whatever code or hand writes to it."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from billing.catalog.services import change_subscription
from billing.invoicing.models import Coverage, Invoice, InvoiceLine, Slot
from billing.invoicing.services import approve, issue
from tests.factories import (
    NOW,
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


@pytest.fixture
def issued() -> Invoice:
    contract = make_contract()
    make_subscription(contract, make_version(fee(), usage()))
    send_events(subject=contract.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": 100})
    (invoice,) = bill_and_issue("2023-12-01")
    return invoice


def refused(act: Callable[[], Any], text: str, error: type[DatabaseError] = DatabaseError) -> None:
    with pytest.raises(error, match=text), transaction.atomic():  # noqa: PT012  deferred triggers speak at the check
        act()
        connection.check_constraints()


def sql(statement: str, *values: Any) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run


def raise_the_fee(invoice: Invoice, at: date) -> None:
    version = make_version(fee(amount="120.00"), usage())
    change_subscription(subscription=invoice.contract.subscriptions.get(), at=at, version=version, now=NOW)


def test_it_works(issued: Invoice) -> None:
    assert (issued.state, issued.total) == ("issued", Decimal("201.00"))
    connection.check_constraints()


@pytest.mark.parametrize(
    "column",
    ["total = total + 1, net = net + 1", "number = 'X'", "state = 'draft'", "due_date = '2030-01-01'", "buyer = '{}'"],
)
def test_an_issued_invoice_cannot_be_edited(issued: Invoice, column: str) -> None:
    refused(sql(f"UPDATE billing_invoice SET {column} WHERE id = %s", issued.pk), "Cannot update|Invalid transition")


def test_an_issued_invoice_and_its_lines_cannot_be_deleted_or_added_to(issued: Invoice) -> None:
    line = issued.lines.first()
    assert line
    refused(sql("DELETE FROM billing_invoice WHERE id = %s", issued.pk), "Cannot delete")
    refused(sql("DELETE FROM billing_invoiceline WHERE id = %s", line.pk), "are frozen")
    refused(sql("UPDATE billing_invoiceline SET amount = 0 WHERE id = %s", line.pk), "are frozen")
    line.pk, line.position = None, 9
    refused(line.save, "are frozen")


def test_an_invoice_is_born_a_draft_and_moves_by_the_table_only(issued: Invoice) -> None:
    draft = Invoice(
        customer=issued.customer, contract=issued.contract, entity=issued.entity, as_of=issued.as_of, currency="USD",
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    draft.state = "approved"
    draft.approved_at = NOW
    refused(draft.save, "Cannot insert")
    draft.state, draft.approved_at = "draft", None
    draft.save()
    refused(sql("UPDATE billing_invoice SET state = 'issued' WHERE id = %s", draft.pk), "Invalid transition")


def test_an_approved_invoice_has_every_revision_and_coverage_and_adds_up(issued: Invoice) -> None:
    (draft,) = bill("2024-01-01")
    approving = "UPDATE billing_invoice SET state = 'approved', approved_at = now() WHERE id = %s"
    refused(sql(approving, draft.pk), "without their guard")
    approve(invoice_ids=[draft.id], user=None, now=NOW)
    refused(sql("UPDATE billing_invoice SET net = 1, total = 1 WHERE id = %s", draft.pk), "Cannot update")


def test_one_open_draft_for_a_contract(issued: Invoice) -> None:
    (draft,) = bill("2024-01-01")
    draft.pk = None
    refused(draft.save, "invoice_one_draft", IntegrityError)


def test_a_revision_stands_on_the_one_before(issued: Invoice) -> None:
    slot = Slot.objects.get()
    (draft,) = bill("2024-01-01")
    fields = draft.lines.filter(kind="usage").values().get()
    wrong = {"id": None, "position": 9, "slot_id": slot.pk, "billed_before": Decimal(0), "desired": Decimal(5),
             "amount": Decimal(5)}  # fmt: skip
    for revision in (1, 2, 3):
        line = InvoiceLine(**(fields | wrong | {"revision": revision}))
        refused(line.save, "moved on: it stands at revision 1 with 1.0000|line_slot_revision")
    InvoiceLine(**(fields | wrong | {"revision": 2, "billed_before": Decimal(1), "amount": Decimal(4)})).save()


def test_an_amount_is_what_is_desired_less_what_was_billed(issued: Invoice) -> None:
    (draft,) = bill("2024-01-01")
    line = draft.lines.get(kind="usage")
    line.amount += 1
    refused(line.save, "line_fee_or_slot", IntegrityError)


def test_no_instant_of_a_fee_is_covered_twice(issued: Invoice) -> None:
    covered = Coverage.objects.first()
    assert covered
    covered.pk = None
    refused(covered.save, "coverage_once", IntegrityError)


def test_coverage_of_a_recorded_line_spans_its_service(issued: Invoice) -> None:
    covered = Coverage.objects.values_list("pk", flat=True)[0]
    refused(sql("DELETE FROM billing_coverage WHERE id = %s", covered), "does not span", IntegrityError)
    shorter = 'UPDATE billing_coverage SET "end" = "end" - interval \'1 day\' WHERE id = %s'
    refused(sql(shorter, covered), "does not span")


def test_credits_of_a_line_take_at_most_what_it_stands_for(issued: Invoice) -> None:
    line = issued.lines.filter(kind="recurring").first()
    assert line
    raise_the_fee(issued, date(2023, 11, 16))
    (draft,) = bill("2024-01-01")
    credit = draft.lines.filter(corrects=line).get()
    InvoiceLine.objects.filter(pk=credit.pk).update(amount=Decimal("-100.01"))
    ((_, reason),) = approve(invoice_ids=[draft.id], user=None, now=NOW).skipped
    assert "out of date" in reason
    InvoiceLine.objects.filter(pk=credit.pk).update(amount=credit.amount)
    assert approve(invoice_ids=[draft.id], user=None, now=NOW).done


def test_what_an_approved_invoice_credited_stays_credited(issued: Invoice) -> None:
    raise_the_fee(issued, date(2023, 12, 16))
    bill_and_issue("2024-01-01")
    credited = Coverage.objects.get(credited_by__isnull=False)
    refused(lambda: Coverage.objects.filter(pk=credited.pk).update(credited_by=None), "credited by an approved")


def test_a_number_needs_an_issue_and_an_issue_a_number(issued: Invoice) -> None:
    (draft,) = bill("2024-01-01")
    refused(sql("UPDATE billing_invoice SET number = 'X' WHERE id = %s", draft.pk), "invoice_numbered", IntegrityError)
    approve(invoice_ids=[draft.id], user=None, now=NOW)
    refused(
        sql("UPDATE billing_invoice SET state = 'issued' WHERE id = %s", draft.pk), "invoice_numbered", IntegrityError
    )
    issue(invoice_ids=[draft.id], user=None, now=datetime(2024, 1, 2, tzinfo=UTC))
    assert Invoice.objects.filter(state="issued").count() == 2

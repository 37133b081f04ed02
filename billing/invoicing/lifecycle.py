"""What follows a draft: approve it (it then counts as recorded), send it back, or issue it (it is then a record)."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from billing.invoicing import coverage
from billing.invoicing.background import carry_out, enqueue
from billing.invoicing.drafts import payers_moved, place_of
from billing.invoicing.errors import InvoicingError, LaterInvoice, StaleDraft, Unprintable, WrongState
from billing.invoicing.fonts import unprintable
from billing.invoicing.late.errors import MustWait
from billing.invoicing.late.models import EarlyApproval
from billing.invoicing.late.queries import is_not_sent, waiting
from billing.invoicing.models import Invoice, InvoiceLine, NumberSeries, Outbox
from billing.invoicing.results import BulkResult
from billing.invoicing.snapshots import buyer_snapshot, contracts_on, seller_snapshot, terms_snapshot
from billing.invoicing.states import InvoiceState, may_move
from billing.periods import local_date
from customers.knowledge import draw_number
from customers.locks import lock_customers
from customers.models import Contract

REVENUE_TASK = "revenue.tasks.post_documents"
SETTLE = "billing.payments.balance.services.settle_issued"  # payments stand above invoicing


def approve(*, invoice_ids: Sequence[int], user: AbstractBaseUser | None, now: datetime, early: str = "") -> BulkResult:
    """Freeze drafts: each line gets its revision or its coverage, and counts as recorded from now on.

    Each invoice is a transaction of its own; one that cannot be approved is skipped with the reason. One that waits,
    for late usage or for a next invoice, is approved only `early`: with the reason, which is kept.
    """
    return _each(invoice_ids, lambda invoice: _approve(invoice, user, now, early.strip()))


def issue(*, invoice_ids: Sequence[int], user: AbstractBaseUser | None, now: datetime) -> BulkResult:
    """Make approved invoices records: number, dates and snapshots, and a word to the books (R5.2, R5.8).

    Each invoice is a transaction of its own; one that cannot be issued is skipped with the reason.
    """
    result = _each(invoice_ids, lambda invoice: _issue(invoice, user, now))
    if result.done:
        enqueue(REVENUE_TASK)
    return result


def send_back(*, invoice_id: int, user: AbstractBaseUser | None, reason: str, now: datetime) -> Invoice:
    """Return an approved invoice to draft: its revisions and coverage are cleared, a following draft is deleted.

    InvoicingError without a reason, from another state, or while a later invoice builds on it.
    """
    if not reason.strip():
        raise InvoicingError("Say why the invoice goes back to draft: the reason is kept with it.")
    with transaction.atomic():
        invoice = _locked(invoice_id)
        _require(invoice, InvoiceState.DRAFT, "sent back to draft")
        lines = list(invoice.lines.all())
        if _built_upon(lines):
            raise LaterInvoice(invoice)
        onto = InvoiceLine.objects.filter(corrects__in=lines).values("invoice")
        following = Q(**place_of(invoice)._asdict()) | Q(pk__in=onto)
        Invoice.objects.filter(following, state=InvoiceState.DRAFT).delete()
        invoice.state, invoice.approved_at, invoice.approved_by = InvoiceState.DRAFT, None, None
        invoice.returned_reason, invoice.updated_at, invoice.approved_known = reason.strip(), now, None
        invoice.save(update_fields=[
            "state", "approved_at", "approved_by", "returned_reason", "updated_at", "approved_known",
        ])  # fmt: skip
        InvoiceLine.objects.filter(invoice=invoice, revision__isnull=False).update(revision=None)
        coverage.clear(lines)
    return invoice


def _each(invoice_ids: Sequence[int], act: Callable[[Invoice], Invoice]) -> BulkResult:
    result = BulkResult()
    for invoice_id in sorted(set(invoice_ids)):
        try:
            with transaction.atomic():
                invoice = _locked(invoice_id)
                act(invoice)
            if invoice.state == InvoiceState.SKIPPED:
                result.skipped.append((invoice, "It comes to nothing: recorded, and not sent."))
            else:
                result.done.append(invoice)
        except InvoicingError as error:
            result.skipped.append((Invoice.objects.get(id=invoice_id), str(error)))
        except IntegrityError:  # the database's guard: another transaction recorded the same first
            stale = Invoice.objects.get(id=invoice_id)
            result.skipped.append((stale, str(StaleDraft(stale))))
    return result


def _locked(invoice_id: int) -> Invoice:
    """The invoice as it stands once its payer's lock is held, and those of the customers on it."""
    contracts = Contract.objects.filter(streams__lines__invoice=invoice_id)
    payer = Invoice.objects.values_list("customer_id", flat=True).get(id=invoice_id)
    lock_customers({payer, *contracts.values_list("customer_id", flat=True)})
    return Invoice.objects.select_for_update(of=("self",)).select_related("entity", "customer").get(id=invoice_id)


def _require(invoice: Invoice, wanted: InvoiceState, verb: str) -> None:
    if not may_move(invoice.state, wanted):
        raise WrongState(invoice, invoice.get_state_display().lower(), verb)


def _approve(invoice: Invoice, user: AbstractBaseUser | None, now: datetime, early: str) -> Invoice:
    _require(invoice, InvoiceState.APPROVED, "approved")
    lines = list(invoice.lines.select_related("stream__contract"))
    if payers_moved(invoice, lines):
        raise StaleDraft(invoice)
    _require_patience(invoice, user, now, early)
    record(invoices=[invoice], lines=lines, user=user, now=now)
    return invoice


def record(
    *, invoices: Sequence[Invoice], lines: Sequence[InvoiceLine], user: AbstractBaseUser | None, now: datetime
) -> None:
    """Let drafts count as recorded: revisions and coverage for all of their lines, then the state. Constant queries."""
    amounts = [line for line in lines if line.slot_id is not None]
    last = dict(
        InvoiceLine.objects.filter(slot__in=[line.slot_id for line in amounts], revision__isnull=False)
        .values_list("slot").annotate(last=Max("revision")).order_by()
    )  # fmt: skip
    for line in amounts:
        line.revision = last.get(line.slot_id, 0) + 1
    InvoiceLine.objects.bulk_update(amounts, ["revision"])
    coverage.record([line for line in lines if line.slot_id is None])
    number = draw_number()
    for invoice in invoices:
        invoice.state, invoice.approved_at, invoice.approved_by = InvoiceState.APPROVED, now, user  # type: ignore[assignment]
        invoice.approved_known = number
    Invoice.objects.bulk_update(invoices, ["state", "approved_at", "approved_by", "approved_known"])


def _require_patience(invoice: Invoice, user: AbstractBaseUser | None, now: datetime, early: str) -> None:
    """MustWait for a draft that waits (R5.10, grace), unless a reason is given; the reason is kept then."""
    waits = waiting([invoice], now).get(invoice.pk)
    if waits is None:
        return
    if not early:
        raise MustWait(invoice, waits.why)
    EarlyApproval.objects.create(
        invoice=invoice, waited_for=waits.why, reason=early, approved_at=now, approved_by=user,  # type: ignore[misc]
    )  # fmt: skip


def _built_upon(lines: list[InvoiceLine]) -> bool:
    """Whether an approved or issued line stands on one of these: it corrects one, or charges anew what one credited."""
    later = InvoiceLine.objects.filter(corrects__in=lines).exclude(invoice__state=InvoiceState.DRAFT)
    return later.exists() or coverage.covered_anew(lines)


def _issue(invoice: Invoice, user: AbstractBaseUser | None, now: datetime) -> Invoice:
    _require(invoice, InvoiceState.ISSUED, "issued")
    if is_not_sent(invoice):
        invoice.state = InvoiceState.SKIPPED
        invoice.save(update_fields=["state"])
        return invoice
    contracts = contracts_on(invoice)
    copies = seller_snapshot(invoice.entity), buyer_snapshot(invoice.customer), terms_snapshot(contracts)
    lines = list(invoice.lines.values_list("description", flat=True))
    if missing := unprintable(json.dumps([*copies, lines], ensure_ascii=False)):
        raise Unprintable(invoice, missing)
    today = _number(invoice, now)
    invoice.issue_date, invoice.due_date = today, today + timedelta(days=copies[2]["net_days"])
    invoice.seller, invoice.buyer, invoice.terms = copies
    invoice.state, invoice.issued_at, invoice.issued_by = InvoiceState.ISSUED, now, user  # type: ignore[assignment]
    invoice.save()
    Outbox.objects.create(kind=Outbox.Kind.INVOICE_ISSUED, object_id=invoice.id, created_at=now)
    carry_out(SETTLE, invoices=[invoice], user=user, now=now)
    return invoice


def _number(invoice: Invoice, now: datetime) -> date:
    """Give it the next number of its series (R5.2), one for each seller and kind of document; the day of issue."""
    NumberSeries.objects.get_or_create(entity=invoice.entity, name=invoice.kind)
    # The row's lock holds until the commit: whoever rolls back gives its number back, so that none is missing.
    series = NumberSeries.objects.select_for_update().get(entity=invoice.entity, name=invoice.kind)
    today, kind = local_date(now, invoice.entity.timezone), invoice.get_kind_display().lower()
    if series.last_date and today < series.last_date:
        raise InvoicingError(
            f"The last {kind} of {invoice.entity} is dated {series.last_date}: one dated {today} cannot follow it."
        )
    series.last_number, series.last_date = series.last_number + 1, today
    series.save(update_fields=["last_number", "last_date"])
    is_credit = invoice.kind == Invoice.Kind.CREDIT_NOTE
    prefix = invoice.entity.credit_prefix if is_credit else invoice.entity.invoice_prefix
    invoice.sequence, invoice.number = series.last_number, f"{prefix}{series.last_number:06d}"
    return today

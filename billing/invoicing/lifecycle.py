"""What follows a draft: approve it (it then counts as recorded), send it back, or issue it (it is then a record)."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from billing.invoicing import coverage
from billing.invoicing.background import carry_out, enqueue
from billing.invoicing.drafts import payers_moved, place_of
from billing.invoicing.drawing.services import want
from billing.invoicing.errors import InvoicingError, LaterInvoice, StaleDraft, Unprintable, WrongState
from billing.invoicing.fonts import unprintable
from billing.invoicing.late.errors import MustWait
from billing.invoicing.late.models import EarlyApproval
from billing.invoicing.late.queries import Waits, is_not_sent, waiting
from billing.invoicing.manual import notes
from billing.invoicing.models import WRITTEN_AT_ISSUE, Invoice, InvoiceLine, NumberSeries, Outbox
from billing.invoicing.results import BulkResult
from billing.invoicing.review import four_eyes
from billing.invoicing.review.services import assess
from billing.invoicing.snapshots import buyer_snapshot, contracts_on_each, seller_snapshot, terms_snapshot
from billing.invoicing.states import InvoiceState, may_move
from billing.periods import local_date
from customers.knowledge import draw_number
from customers.locks import lock_customers
from customers.models import Contract

REVENUE_TASK = "revenue.tasks.post_documents"
DRAWING_TASK = "billing.invoicing.drawing.tasks.draw"
SETTLE = "billing.payments.balance.services.settle_issued"  # payments stand above invoicing
SEND = "billing.invoicing.delivery.services.send_issued"  # delivery stands above the states
BATCH: Final = 100
"""How many invoices are moved in one transaction, under the locks of all who are concerned."""
Refused = dict[int, str]
"""Why invoices were not moved, by id."""
Act = Callable[[list[Invoice]], Refused]


@dataclass(frozen=True, slots=True)
class Given:
    """How an approval is meant: though a draft waits (`early`) or by whoever prepared it (`override`), each with a
    reason; or by a policy, with what it says of each draft.
    """

    early: str = ""
    override: str = ""
    policies: Mapping[int, four_eyes.ByPolicy] = field(default_factory=dict)


def approve(
    *, invoice_ids: Sequence[int], user: AbstractBaseUser | None, now: datetime, early: str = "", override: str = "",
    policies: Mapping[int, four_eyes.ByPolicy] | None = None,
) -> BulkResult:  # fmt: skip
    """Freeze drafts: each line gets its revision or its coverage, and counts as recorded from now on.

    Many at once are a transaction together; one that cannot be approved is skipped with the reason, and the others go
    on. One that waits, for late usage or for a next invoice, is approved only `early`; one that the user prepared,
    where its seller wants four eyes, only as an `override` by a superuser: with the reason, which is kept. `policies`
    say in whose stead nobody approves which draft, by invoice id.
    """
    given = Given(early.strip(), override.strip(), policies or {})
    return _each(invoice_ids, lambda invoices: _approve(invoices, user, now, given))


def issue(*, invoice_ids: Sequence[int], user: AbstractBaseUser | None, now: datetime) -> BulkResult:
    """Make approved invoices records: number, dates and snapshots, and a word to the books (R5.2, R5.8).

    Many at once are a transaction together; one that cannot be issued is skipped with the reason.
    """
    result = _each(invoice_ids, lambda invoices: _issue(invoices, user, now))
    if result.done:
        enqueue(REVENUE_TASK)
        enqueue(DRAWING_TASK)
    return result


def issue_reversal(*, reversal: Invoice, user: AbstractBaseUser | None, now: datetime, way: str) -> None:
    """Issue an approved document that voids another; `way` says what becomes of its credit beyond what is open.

    The caller holds the locks and the transaction. InvoicingError where its series or its document forbids it.
    """
    if refused := _issue([reversal], user, now, {reversal.pk: way}):
        raise InvoicingError(refused[reversal.pk])
    enqueue(REVENUE_TASK)
    enqueue(DRAWING_TASK)


def send_back(*, invoice_id: int, user: AbstractBaseUser | None, reason: str, now: datetime) -> Invoice:
    """Return an approved invoice to draft: its revisions and coverage are cleared, a following draft is deleted.

    InvoicingError without a reason, from another state, or while a later invoice builds on it.
    """
    if not reason.strip():
        raise InvoicingError("Say why the invoice goes back to draft: the reason is kept with it.")
    with transaction.atomic():
        invoice = locked(invoice_ids=[invoice_id])[0]
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
        notes.untie(invoice)
        assess(invoice_ids=[invoice.pk], now=now)
    return invoice


def _each(invoice_ids: Sequence[int], act: Act) -> BulkResult:
    result = BulkResult()
    ids = sorted(set(invoice_ids))
    for start in range(0, len(ids), BATCH):
        _together(ids[start : start + BATCH], act, result)
    return result


def _together(ids: Sequence[int], act: Act, result: BulkResult) -> None:
    """Move invoices in one transaction; where the database refuses them together, each half, down to the one."""
    try:
        with transaction.atomic():
            invoices = locked(invoice_ids=ids)
            refused = act(invoices)
    except IntegrityError:  # the database's guard: another transaction recorded the same first
        if len(ids) == 1:
            stale = Invoice.objects.get(id=ids[0])
            result.skipped.append((stale, str(StaleDraft(stale))))
            return
        half = len(ids) // 2
        _together(ids[:half], act, result)
        _together(ids[half:], act, result)
        return
    for invoice in invoices:
        if invoice.pk in refused:
            result.skipped.append((invoice, refused[invoice.pk]))
        elif invoice.state == InvoiceState.SKIPPED:
            result.skipped.append((invoice, "It comes to nothing: recorded, and not sent."))
        else:
            result.done.append(invoice)


def locked(*, invoice_ids: Sequence[int]) -> list[Invoice]:
    """The invoices as they stand under the locks of their payers and of all customers on them; in a transaction."""
    contracts = Contract.objects.filter(streams__lines__invoice__in=invoice_ids)
    payers = Invoice.objects.filter(id__in=invoice_ids).order_by().values_list("customer_id", flat=True)
    lock_customers({*payers, *contracts.values_list("customer_id", flat=True)})
    rows = Invoice.objects.select_for_update(of=("self",)).select_related("entity", "customer")
    return list(rows.filter(id__in=invoice_ids).order_by("id"))


def _require(invoice: Invoice, wanted: InvoiceState, verb: str) -> None:
    if not may_move(invoice.state, wanted):
        raise WrongState(invoice, invoice.get_state_display().lower(), verb)


def _refuse(refused: Refused, invoices: Iterable[Invoice], check: Callable[[Invoice], None]) -> list[Invoice]:
    """Those that pass a check; of the others, note what it raises."""
    passed = []
    for invoice in invoices:
        try:
            check(invoice)
        except InvoicingError as error:
            refused[invoice.pk] = str(error)
        else:
            passed.append(invoice)
    return passed


def _approve(invoices: Sequence[Invoice], user: AbstractBaseUser | None, now: datetime, given: Given) -> Refused:
    refused: Refused = {}
    drafts = _refuse(refused, invoices, lambda each: _require(each, InvoiceState.APPROVED, "approved"))
    lines = list(InvoiceLine.objects.filter(invoice__in=drafts).select_related("invoice", "stream__contract"))
    moved = payers_moved(lines)
    current = _refuse(refused, drafts, lambda each: _require_current(each, moved))
    eyes = four_eyes.Eyes(current, user, given.override, given.policies)
    seen = _refuse(refused, current, eyes.check)
    waits = waiting(seen, now)
    ready = _refuse(refused, seen, lambda each: _require_patience(each, waits.get(each.pk), user, now, given.early))
    eyes.keep(ready, now)
    wanted = {each.pk for each in ready}
    record(invoices=ready, lines=[line for line in lines if line.invoice_id in wanted], user=user, now=now)
    return refused


def _require_current(invoice: Invoice, moved: Collection[int]) -> None:
    if invoice.pk in moved:
        raise StaleDraft(invoice)


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
    notes.tie(invoices)
    number = draw_number()
    for invoice in invoices:
        invoice.state, invoice.approved_at, invoice.approved_by = InvoiceState.APPROVED, now, user  # type: ignore[assignment]
        invoice.approved_known = number
    Invoice.objects.bulk_update(invoices, ["state", "approved_at", "approved_by", "approved_known"])


def _require_patience(
    invoice: Invoice, waits: Waits | None, user: AbstractBaseUser | None, now: datetime, early: str
) -> None:
    """MustWait for a draft that waits (R5.10, grace), unless a reason is given; the reason is kept then."""
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


def _issue(
    invoices: Sequence[Invoice], user: AbstractBaseUser | None, now: datetime, ways: Mapping[int, str] | None = None
) -> Refused:
    """`ways` say what becomes of the credit of a note, by id, where nobody conceded it."""
    refused: Refused = {}
    approved = _refuse(refused, invoices, lambda each: _require(each, InvoiceState.ISSUED, "issued"))
    sent = [each for each in approved if not is_not_sent(each)]
    for invoice in approved:
        if invoice not in sent:
            invoice.state = InvoiceState.SKIPPED
            invoice.save(update_fields=["state"])
    contracts = contracts_on_each([each.pk for each in sent])
    texts: dict[int, list[str]] = defaultdict(list)
    for pk, text in InvoiceLine.objects.filter(invoice__in=sent).order_by().values_list("invoice", "description"):
        texts[pk].append(text)
    for pk, text in notes.printed_on(sent):
        texts[pk].append(text)
    whole = _refuse(refused, sent, lambda each: _copy(each, contracts[each.pk], texts[each.pk]))
    numbered = _number(refused, whole, now)
    for invoice in numbered:
        invoice.state, invoice.issued_at, invoice.issued_by = InvoiceState.ISSUED, now, user  # type: ignore[assignment]
    Invoice.objects.bulk_update(numbered, [*WRITTEN_AT_ISSUE, "state", "issued_by"])
    Outbox.objects.bulk_create(
        [Outbox(kind=Outbox.Kind.INVOICE_ISSUED, object_id=each.pk, created_at=now) for each in numbered]
    )
    want(invoice_ids=[each.pk for each in numbered], now=now)
    carry_out(SEND, invoices=numbered, user=user, now=now)
    carry_out(SETTLE, invoices=numbered, user=user, now=now, ways=ways)
    return refused


def _copy(invoice: Invoice, contracts: Sequence[Contract], texts: Sequence[str]) -> None:
    """Copy seller, buyer and terms onto it (R5.8), for a reversal those of the invoice that it voids.

    Unprintable where its document could not show them.
    """
    if (voided := invoice.reverses) is not None:
        invoice.seller, invoice.buyer, invoice.terms = voided.seller, voided.buyer, voided.terms
        return
    copies = seller_snapshot(invoice.entity), buyer_snapshot(invoice.customer), terms_snapshot(contracts)
    if missing := unprintable(json.dumps([*copies, texts], ensure_ascii=False)):
        raise Unprintable(invoice, missing)
    invoice.seller, invoice.buyer, invoice.terms = copies


def _number(refused: Refused, invoices: Sequence[Invoice], now: datetime) -> list[Invoice]:
    """Give them the next numbers of their series (R5.2), one for each seller and kind of document, and their days."""
    groups: dict[tuple[int, str], list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        groups[invoice.entity_id, invoice.kind].append(invoice)
    done = []
    for key in sorted(groups):  # in order, so that two who issue for several sellers cannot wait for each other
        with _refusing(refused, groups[key]):
            _number_series(groups[key], now)
            done += groups[key]
    return sorted(done, key=lambda each: each.pk)


@contextmanager
def _refusing(refused: Refused, invoices: Sequence[Invoice]) -> Iterator[None]:
    """Note what is raised as the reason why none of these is done."""
    try:
        yield
    except InvoicingError as error:
        refused.update({each.pk: str(error) for each in invoices})


def _number_series(invoices: Sequence[Invoice], now: datetime) -> None:
    """Number invoices of one seller and kind, in the order given, and date them."""
    entity, name, kind = invoices[0].entity, invoices[0].kind, invoices[0].get_kind_display().lower()
    NumberSeries.objects.get_or_create(entity=entity, name=name)
    # The row's lock holds until the commit: whoever rolls back gives its numbers back, so that none is missing.
    series = NumberSeries.objects.select_for_update().get(entity=entity, name=name)
    today = local_date(now, entity.timezone)
    if series.last_date and today < series.last_date:
        raise InvoicingError(
            f"The last {kind} of {entity} is dated {series.last_date}: one dated {today} cannot follow it."
        )
    prefix = entity.credit_prefix if name == Invoice.Kind.CREDIT_NOTE else entity.invoice_prefix
    for invoice in invoices:
        series.last_number += 1
        assert invoice.terms is not None  # copied before
        invoice.sequence, invoice.number = series.last_number, f"{prefix}{series.last_number:06d}"
        invoice.issue_date, invoice.due_date = today, today + timedelta(days=invoice.terms["net_days"])
    series.last_date = today
    series.save(update_fields=["last_number", "last_date"])

"""The verbs of what is added to drafts by hand: add, say anew, take back. The draft follows at once, or not at all.

Whoever adds holds the locks that approval takes: a draft that somebody approves at the same moment is either approved
with the change, or the change is refused.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.agreements import writing
from billing.invoicing.drafts import place_of
from billing.invoicing.manual.checking import check_line, checked_text, service_of
from billing.invoicing.manual.errors import BadManual, BilledAlready, NotOnDraft
from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.manual.states import ManualKind
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.runs.billing import bill_contracts
from billing.invoicing.runs.models import RunOutcome
from billing.invoicing.slots import MANUAL
from billing.invoicing.states import RECORDED, InvoiceState
from customers.locks import lock_customers
from customers.models import Contract
from customers.queries import everyone_concerned

User = AbstractBaseUser | None


def add_line(
    *, contract: Contract, text: str, due_on: date, first: date, last: date, reason: str, user: User, now: datetime,
    amount: Decimal | None = None, quantity: Decimal | None = None, unit: str = "", unit_price: Decimal | None = None,
    invoice_id: int | None = None,
) -> ManualLine:  # fmt: skip
    """A line on the contract's drafts as of `due_on`: an amount, or a quantity at a unit price.

    `first` and `last` are the days of service, both included, in the contract's zone. The open draft, or the one that
    is named, is drawn up anew. InvoicingError for what makes no line, or where the named one is no draft any more.
    """
    start, end = service_of(contract, first, last)
    line = ManualLine(
        contract=contract, kind=ManualKind.LINE, text=text, due_on=due_on, start=start, end=end, amount=amount,
        quantity=quantity, unit=unit, unit_price=unit_price,
    )  # fmt: skip
    return _say(line, invoice_id, reason=reason, user=user, now=now)


def add_discount(
    *, contract: Contract, text: str, due_on: date, reason: str, user: User, now: datetime,
    amount: Decimal | None = None, percentage: Decimal | None = None, of: InvoiceLine | None = None,
    invoice_id: int | None = None,
) -> ManualLine:  # fmt: skip
    """Off what the contract's draft bills, or off one line of it: an amount or a percentage, never below zero.

    It comes off the first draft as of `due_on` or later that has something to take it off. See add_line.
    """
    if of is not None and (of.stream.contract_id != contract.pk or of.corrects_id is not None):
        raise BadManual(f"“{of}” cannot be discounted: choose a line that bills something of {contract}.")
    start, end = service_of(contract, due_on, due_on)
    line = ManualLine(
        contract=contract, kind=ManualKind.DISCOUNT, text=text, due_on=due_on, start=start, end=end, amount=amount,
        percentage=percentage, of_stream=of.stream if of else None, of_kind=of.kind if of else "",
        of_start=of.service_start if of else None,
    )  # fmt: skip
    return _say(line, invoice_id, reason=reason, user=user, now=now)


def say_anew(
    *, line: ManualLine, reason: str, user: User, now: datetime, invoice_id: int | None = None, **values: Any
) -> ManualLine:
    """Put another version in the place of a line or a discount; `values` are the fields that change.

    A line that is billed already is billed the difference; a discount that is billed is refused (BilledAlready).
    """
    kept = ("contract", "kind", "text", "due_on", "start", "end", "amount", "quantity", "unit", "unit_price",
            "percentage", "of_stream", "of_kind", "of_start")  # fmt: skip
    fresh = ManualLine(**{name: values.get(name, getattr(line, name)) for name in kept}, replaces=line)
    fresh.first_id = line.identity
    return _say(fresh, invoice_id, reason=reason, user=user, now=now)


def take_back(
    *, line: ManualLine, reason: str, user: User, now: datetime, invoice_id: int | None = None
) -> None:  # fmt: skip
    """As if it had never been added: what is billed of it comes back with the next invoice."""
    with transaction.atomic():
        _hold(line.contract, invoice_id)
        writing.superseded([line], reason=reason, user=user, now=now)
        _redraft(line.contract, invoice_id, now)


def add_note(*, invoice: Invoice, text: str, printed: bool, user: User, now: datetime) -> InvoiceNote:
    """A note on a draft, printed on its document or for colleagues alone; the latter also on what is approved."""
    text = checked_text(text, 1000, "note") if printed else text.strip()
    if not text or len(text) > 1000:
        raise BadManual("Write the note in 1 to 1000 characters.")
    with transaction.atomic():
        held = _held(invoice.pk, draft=printed)
        note = InvoiceNote(
            **place_of(held)._asdict(), text=text, printed=printed, recorded_at=now, recorded_by=user,  # type: ignore[misc]
            invoice=None if held.state == InvoiceState.DRAFT else held,
        )  # fmt: skip
        note.save(force_insert=True)
    return note


def take_back_note(*, note: InvoiceNote, invoice: Invoice, reason: str, user: User, now: datetime) -> None:
    """Let a note stand no longer, with the reason; one that is printed only while the invoice is a draft."""
    with transaction.atomic():
        _held(invoice.pk, draft=note.printed)
        stamp = {"taken_back_at": now, "taken_back_by": user, "taken_back_reason": writing.checked(reason)}
        if not InvoiceNote.objects.filter(pk=note.pk, taken_back_at=None).update(**stamp):
            raise BadManual("This note was taken back meanwhile.")


def _say(line: ManualLine, invoice_id: int | None, *, reason: str, user: User, now: datetime) -> ManualLine:
    """Record a line, in the place of the one that it replaces, and let the draft follow."""
    with transaction.atomic():
        _hold(line.contract, invoice_id)
        check_line(line)
        if line.replaces is not None:
            _require_open(line.replaces)
            writing.superseded([line.replaces], reason=reason, user=user, now=now)
        writing.said([line], reason=reason, user=user, now=now)
        _redraft(line.contract, invoice_id, now)
    return line


def _require_open(line: ManualLine) -> None:
    """BilledAlready for a discount that an approved or issued invoice carries."""
    if line.kind == ManualKind.DISCOUNT:
        billed = billed_on(line)
        if billed is not None:
            raise BilledAlready(line, billed)


def billed_on(line: ManualLine) -> Invoice | None:
    """The last approved or issued invoice that bills it; one query."""
    found = InvoiceLine.objects.filter(
        stream__contract=line.contract_id, slot__dimensions={MANUAL: str(line.identity)}, invoice__state__in=RECORDED
    )
    last = found.select_related("invoice").order_by("-revision").first()
    return last.invoice if last else None


def _hold(contract: Contract, invoice_id: int | None) -> None:
    """Take the locks of everyone concerned; NotOnDraft where the invoice that is worked on is no draft by now."""
    payers = Invoice.objects.filter(pk=invoice_id).values_list("customer_id", flat=True)
    lock_customers({*everyone_concerned([contract.pk]), *payers})
    if invoice_id is not None:
        _require_draft(Invoice.objects.select_for_update().filter(pk=invoice_id).first(), invoice_id)


def _held(invoice_id: int, *, draft: bool) -> Invoice:
    """The invoice under its payer's lock; where it has to be a `draft`, NotOnDraft for any other."""
    lock_customers(Invoice.objects.filter(pk=invoice_id).values_list("customer_id", flat=True))
    found = Invoice.objects.select_for_update().filter(pk=invoice_id).first()
    if draft or found is None:
        _require_draft(found, invoice_id)
    assert found is not None  # refused otherwise
    return found


def _require_draft(invoice: Invoice | None, invoice_id: int) -> None:
    if invoice is None:
        raise NotOnDraft(invoice_id, "gone")
    if invoice.state != InvoiceState.DRAFT:
        raise NotOnDraft(invoice, invoice.get_state_display().lower())


def _redraft(contract: Contract, invoice_id: int | None, now: datetime) -> None:
    """Draw up anew the draft that is worked on, or the contract's open one; with none, the next run does it.

    InvoicingError where a check holds the contract: nothing is kept then.
    """
    drafts = Invoice.objects.filter(state=InvoiceState.DRAFT).order_by("-as_of", "pk")
    of_contract = drafts.filter(pk__in=InvoiceLine.objects.filter(stream__contract=contract).values("invoice"))
    draft = (drafts.filter(pk=invoice_id) if invoice_id is not None else of_contract).first()
    if draft is None:
        return
    (outcome,) = bill_contracts(contract_ids=[contract.pk], as_of=draft.as_of, run=draft.run, now=now)
    if outcome.result == RunOutcome.Result.HELD:
        raise BadManual(f"Nothing was changed, since the draft would be held: {outcome.reason}")

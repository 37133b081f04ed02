"""The verbs of voiding: reverse an issued invoice, and take back that its lines are not billed again.

Whoever voids holds the locks that runs, approval, issue and payments take.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.catalog.agreements import writing
from billing.catalog.terms.errors import TermsError
from billing.invoicing import lifecycle
from billing.invoicing.background import carry_out
from billing.invoicing.concessions.models import Way
from billing.invoicing.concessions.services import held, redraft
from billing.invoicing.errors import Unprintable
from billing.invoicing.fonts import unprintable
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.review.services import assess
from billing.invoicing.states import InvoiceState
from billing.invoicing.taxes.drafting import rows_of
from billing.invoicing.taxes.models import InvoiceTax
from billing.invoicing.voiding.errors import BadVoid, BuiltUpon
from billing.invoicing.voiding.models import Waiver
from billing.invoicing.voiding.queries import Stands, standing_of
from billing.invoicing.voiding.reversal import lines_against

MAY_VOID = "billing.payments.writeoffs.services.refuse_void"  # payments stand above invoicing
User = AbstractBaseUser | None


def void(
    *, invoice_id: int, reason: str, user: User, now: datetime, bill_again: bool = True, way: str = Way.BALANCE
) -> Invoice:
    """Reverse an issued invoice to nothing, by a document that is issued at once; its lines are wanted again.

    The next draft has them, as the facts are known then; without `bill_again` they are waived. Credits of its lines are
    undone with it. What was paid becomes balance, or goes the `way` that is said. BadVoid for what is no issued invoice
    or without a reason; BuiltUpon while a later approved or issued document stands on it, naming that.
    """
    with transaction.atomic():
        invoice = held(invoice_id=invoice_id)
        why = _checked(invoice, reason, user)
        stands = standing_of(invoice)
        if later := stands.later(invoice):
            raise BuiltUpon(invoice, later)
        carry_out(MAY_VOID, invoice=invoice)
        if stands.adjustments:
            writing.superseded(stands.adjustments, reason=why, user=user, now=now)
        reversal = _reverse(invoice, stands, why, user, now)
        lifecycle.issue_reversal(reversal=reversal, user=user, now=now, way=way)
        Invoice.objects.filter(pk=invoice.pk).update(state=InvoiceState.VOID)
        if not bill_again:
            rows = [Waiver(contract=line.stream.contract, line=line) for line in _waivable(invoice)]
            writing.said(rows, reason=why, user=user, now=now)
        _redraft(invoice, now)
    return reversal


def bill_after_all(*, invoice_id: int, reason: str, user: User, now: datetime) -> list[Waiver]:
    """Take back that a voided invoice's lines are not billed again. BadVoid where nothing of it is waived."""
    with transaction.atomic():
        invoice = held(invoice_id=invoice_id)
        said = list(Waiver.objects.filter(line__invoice=invoice, superseded_at=None))
        if not said:
            raise BadVoid(f"Nothing of {invoice} is waived: its lines are billed as the facts have them.")
        try:
            writing.superseded(said, reason=reason, user=user, now=now)
        except TermsError as error:
            raise BadVoid(str(error)) from error
        _redraft(invoice, now)
    return said


def _checked(invoice: Invoice, reason: str, user: User) -> str:
    """The reason; BadVoid for what cannot be voided."""
    if invoice.state == InvoiceState.VOID:
        reversal = Invoice.objects.filter(reverses=invoice).first()
        raise BadVoid(f"{invoice} is void already, by {reversal}.")
    if invoice.state != InvoiceState.ISSUED:
        raise BadVoid(
            f"Only an issued invoice is voided: {invoice} is {invoice.get_state_display().lower()}, so it can be "
            "changed as it is."
        )
    if invoice.kind != Invoice.Kind.INVOICE or invoice.reverses_id:
        raise BadVoid(f"{invoice} is no invoice that can be voided: charge what it credits again, by a line by hand.")
    if user is None and invoice.entity.four_eyes:
        raise BadVoid(f"{invoice.entity} wants four eyes: somebody must void {invoice}, not the system.")
    if missing := unprintable(reason):
        raise Unprintable(invoice, missing)
    try:
        return writing.checked(reason)
    except TermsError as error:
        raise BadVoid(str(error)) from error


def _reverse(invoice: Invoice, stands: Stands, reason: str, user: User, now: datetime) -> Invoice:
    """The reversal, approved: every line against one that stands."""
    lines = lines_against(stands)
    net, tax = sum((each.amount for each in lines), Decimal(0)), sum((each.tax for each in lines), Decimal(0))
    reversal = Invoice.objects.create(
        kind=Invoice.Kind.CREDIT_NOTE if net + tax < 0 else Invoice.Kind.INVOICE, customer_id=invoice.customer_id,
        contract_id=invoice.contract_id, group=invoice.group, apart=invoice.apart, entity=invoice.entity,
        as_of=invoice.as_of, currency=invoice.currency, net=net, tax=tax, total=net + tax, created_at=now,
        updated_at=now, reverses=invoice, reversal_reason=reason,
    )  # fmt: skip
    for position, line in enumerate(lines, 1):
        line.invoice, line.position = reversal, position
    InvoiceLine.objects.bulk_create(lines)
    InvoiceTax.objects.bulk_create(rows_of(reversal, lines))
    lifecycle.record(invoices=[reversal], lines=lines, user=user, now=now)
    return reversal


def _waivable(invoice: Invoice) -> Iterable[InvoiceLine]:
    """The lines that a waiver leaves out: amounts and charges; credits that were conceded stay promised."""
    lines = invoice.lines.select_related("stream__contract", "slot")
    return [line for line in lines if (line.terms is None if line.slot_id else line.corrects_id is None)]


def _redraft(invoice: Invoice, now: datetime) -> None:
    """The drafts of the contracts on it, as they are wanted now; a contract that is held stays so, with its reason."""
    contracts: Sequence[int] = sorted(set(invoice.lines.values_list("stream__contract", flat=True)))
    outcomes = redraft(contracts=contracts, now=now)
    assess(invoice_ids={each.invoice_id for each in outcomes if each.invoice_id}, now=now)

"""The verbs of crediting: concede, and take back. The credit note follows at once as a draft, or nothing is kept.

Whoever credits holds the locks that approval and issue take, so that two people never credit the same thing twice.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max, Sum

from billing.catalog.agreements import writing
from billing.catalog.terms.errors import TermsError
from billing.invoicing.concessions.errors import BadCredit, NoSuchLine, TooMuch
from billing.invoicing.concessions.models import Adjustment, Way
from billing.invoicing.concessions.queries import ZERO, conceded_on, rest_of
from billing.invoicing.concessions.rules import capped
from billing.invoicing.errors import Unprintable
from billing.invoicing.fonts import unprintable
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.review.services import assess, prepared
from billing.invoicing.runs.billing import bill_contracts
from billing.invoicing.runs.models import RunOutcome
from billing.invoicing.states import RECORDED, InvoiceState
from billing.money import plain, round_money
from customers.backoffice import amount_text
from customers.locks import lock_customers
from customers.queries import everyone_concerned

User = AbstractBaseUser | None
AGAIN_AFTER: Final = timedelta(minutes=1)


def credit(
    *, invoice_id: int, amounts: Mapping[int, Decimal] | None, reason: str, user: User, now: datetime,
    quantities: Mapping[int, Decimal] | None = None, way: str = Way.BALANCE,
) -> list[Adjustment]:  # fmt: skip
    """Concede amounts off lines of an issued invoice, by line id; None for all that is left of the whole invoice.

    `quantities`, by line id, are parts of what lines are of: each comes to its share of the line's amount. The credit
    settles what is open of the invoice first; `way` says what becomes of the rest. A credit note is drawn up as a draft
    at once, also where the seller lets other credits wait (R5.4), and prints the reason.
    TooMuch above what a line or the invoice still stands for; BadCredit for what is no credit.
    """
    with transaction.atomic():
        invoice, lines = _held(invoice_id)
        if missing := unprintable(reason):
            raise Unprintable(invoice, missing)
        rest = rest_of(list(lines.values()))
        parts = dict(quantities or {})
        wanted = {**(amounts or {}), **{key: _part(invoice, lines, key, parts[key]) for key in parts}}
        if amounts is None and not parts:
            wanted = {key: left for key, left in rest.items() if left}
        _check(invoice, lines, rest, wanted)
        _refuse_again(invoice, wanted, reason, now)
        said = [
            Adjustment(
                contract=lines[key].stream.contract, line=lines[key], amount=wanted[key], quantity=parts.get(key),
                way=way,
            )
            for key in wanted
        ]  # fmt: skip
        try:
            writing.said(said, reason=reason, user=user, now=now)
        except TermsError as error:
            raise BadCredit(str(error)) from error
        _redraft(said, user, "credited an invoice", now)
    return said


def take_back(*, invoice_id: int, reason: str, user: User, now: datetime) -> list[Adjustment]:
    """Take back every credit on a draft: as if it had never been conceded. BadCredit where there is none."""
    with transaction.atomic():
        draft = held(invoice_id=invoice_id)
        if draft.state != InvoiceState.DRAFT:
            raise BadCredit(
                f"Invoice {draft} is {draft.get_state_display().lower()} by now: send it back to draft first."
            )
        said = conceded_on(draft)
        if not said:
            raise BadCredit(f"No credit stands on {draft}.")
        try:
            writing.superseded(said, reason=reason, user=user, now=now)
        except TermsError as error:
            raise BadCredit(str(error)) from error
        _redraft(said, user, "took credits back", now)
    return said


def share(*, line: InvoiceLine, quantity: Decimal, currency: str) -> Decimal:
    """What a part of a line's quantity comes to: its share of the amount, rounded once (R5.3)."""
    if not line.quantity or not 0 < quantity <= line.quantity:
        left = plain(line.quantity or ZERO)
        raise BadCredit(f"“{line}” is of {left}: credit a quantity above 0 and up to that.")
    return round_money(Fraction(line.amount) * Fraction(quantity) / Fraction(line.quantity), currency)


def _part(invoice: Invoice, lines: Mapping[int, InvoiceLine], key: int, quantity: Decimal) -> Decimal:
    if key not in lines:
        raise NoSuchLine(invoice)
    return share(line=lines[key], quantity=quantity, currency=invoice.currency)


def _held(invoice_id: int) -> tuple[Invoice, dict[int, InvoiceLine]]:
    """An issued invoice and its lines, under the locks of everyone concerned."""
    invoice = held(invoice_id=invoice_id)
    if invoice.state != InvoiceState.ISSUED or invoice.kind != Invoice.Kind.INVOICE:
        raise BadCredit(f"Only an issued invoice is credited: {invoice} is {invoice.get_state_display().lower()}.")
    return invoice, {line.pk: line for line in invoice.lines.select_related("stream__contract", "slot")}


def held(*, invoice_id: int) -> Invoice:
    """An invoice under the locks of everyone concerned, as it stands then; BadCredit where it is gone."""
    lines = InvoiceLine.objects.filter(invoice=invoice_id).order_by()
    contracts = lines.values_list("stream__contract", flat=True).distinct()
    payers = Invoice.objects.filter(pk=invoice_id).values_list("customer_id", flat=True)
    lock_customers({*everyone_concerned(list(contracts)), *payers})
    found = Invoice.objects.select_for_update().filter(pk=invoice_id).first()
    if found is None:
        raise BadCredit(f"There is no invoice {invoice_id} any more: look at the list of invoices.")
    return found


def _check(
    invoice: Invoice, lines: Mapping[int, InvoiceLine], rest: Mapping[int, Decimal], wanted: Mapping[int, Decimal]
) -> None:
    if not wanted:
        raise BadCredit(f"Nothing of {invoice} is left to credit, or no amount was given.")
    for key, amount in wanted.items():
        if key not in lines:
            raise NoSuchLine(invoice)
        if not amount or round_money(Fraction(amount), invoice.currency) != amount:
            raise BadCredit(
                f"{plain(amount)} cannot be credited: give an amount in {invoice.currency} with its decimals."
            )
        if capped(amount, rest[key]) != amount:
            raise TooMuch(lines[key], amount_text(rest[key], invoice.currency))
    credited = Adjustment.objects.filter(line__invoice=invoice, superseded_at=None).aggregate(total=Sum("amount"))
    left = invoice.net - (credited["total"] or ZERO)
    if not 0 < sum(wanted.values()) <= left:  # what came off a line may be part of another
        raise TooMuch(invoice, f"{amount_text(left, invoice.currency)} in all")


def redraft(*, contracts: Sequence[int], now: datetime) -> list[RunOutcome]:
    """Bring the drafts of contracts up to date, as of the last day that they were billed as of; what came of each.

    The caller holds the locks, and the transaction.
    """
    recorded = Invoice.objects.filter(lines__stream__contract__in=contracts, state__in=RECORDED)
    as_of = recorded.aggregate(day=Max("as_of"))["day"]
    return bill_contracts(contract_ids=contracts, as_of=as_of, run=None, now=now)


def _refuse_again(invoice: Invoice, wanted: Mapping[int, Decimal], reason: str, now: datetime) -> None:
    """BadCredit for the same credits with the same reason within a minute: a second click, or a second tab."""
    said = Adjustment.objects.filter(
        line__in=wanted, reason=reason.strip(), superseded_at=None, recorded_at__gt=now - AGAIN_AFTER
    )
    if wanted.items() <= dict(said.values_list("line", "amount")).items():
        raise BadCredit(f"{invoice} was credited so just now: give another reason to credit the same once more.")


def _redraft(said: Sequence[Adjustment], user: User, what: str, now: datetime) -> None:
    """Draw up the contracts' drafts with what is said now, as of the last day that they were billed as of.

    Review is told who did `what`.
    """
    contracts = sorted({each.contract_id for each in said})
    for outcome in redraft(contracts=contracts, now=now):
        if outcome.result == RunOutcome.Result.HELD:
            raise BadCredit(f"Nothing was credited, since the draft would be held: {outcome.reason}")
    drafts = InvoiceLine.objects.filter(stream__contract__in=contracts, invoice__state=InvoiceState.DRAFT)
    conceded = drafts.filter(slot__dimensions__concession__in=[str(each.pk) for each in said])
    ids = set(conceded.order_by().values_list("invoice", flat=True))
    prepared(invoice_ids=ids, user=user, what=what, now=now)
    assess(invoice_ids=ids, now=now)

"""What will be invoiced: the run itself, day after day with assumed usage, in a transaction that is rolled back."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import Q

from billing.invoicing.calendars import calendar_of, cycles_between
from billing.invoicing.facts import terms_of
from billing.invoicing.late.queries import waiting
from billing.invoicing.lifecycle import record
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.runs.billing import bill_contracts
from billing.invoicing.runs.models import RunOutcome
from billing.invoicing.states import InvoiceState
from billing.invoicing.terms import ContractTerms
from billing.periods import local_date, local_midnight
from billing.rehearsal.assumed import Assumed, Assumption
from customers.locks import lock_customers
from customers.models import Contract
from customers.queries import everyone_concerned
from customers.states import ContractState

CHUNK: Final = 100
_LATER: Final = timedelta(days=400)
"""Drafts are looked at so long after their day: a window of grace is over then, a small amount is still carried."""


@dataclass(frozen=True, slots=True)
class ForeseenLine:
    """A line of an invoice to come; the customer is whose usage or fee it is."""

    customer: str
    contract: str
    kind: str
    description: str
    start: datetime
    end: datetime
    quantity: Decimal | None
    unit: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Foreseen:
    """An invoice to come; `problem` in place of lines where a contract would be held, and says why."""

    day: date
    payer: str
    kind: str
    currency: str
    total: Decimal
    lines: tuple[ForeseenLine, ...] = ()
    problem: str = ""


def rehearse(*, contract_ids: Sequence[int], to: date, assumption: Assumption) -> Iterator[Foreseen]:
    """The invoices of active contracts up to the start of a day, in order of day for each chunk of them.

    What is open now comes first, as of the day of `assumption.now`. A chunk of 100 contracts and all that their payers
    pay for is a transaction that is rolled back; whoever bills these customers meanwhile waits.
    """
    active = Contract.objects.filter(pk__in=contract_ids, state=ContractState.ACTIVE)
    ids = list(active.order_by("customer_id", "pk").values_list("pk", flat=True))
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            found = _rehearse(ids[start : start + CHUNK], to, assumption)
            transaction.set_rollback(True)
        yield from found


def _rehearse(ids: Sequence[int], to: date, assumption: Assumption) -> list[Foreseen]:
    """Bill on each day on which something falls due, and let it count as recorded before the next."""
    lock_customers(everyone_concerned(ids))
    facts = Assumed(assumption)
    found: list[Foreseen] = []
    problems: set[str] = set()
    for day, due in sorted(_days(ids, to, assumption.now).items()):
        outcomes = bill_contracts(contract_ids=due, as_of=day, run=None, now=assumption.now, facts=facts)
        for outcome in outcomes:
            if outcome.result == RunOutcome.Result.HELD and outcome.reason not in problems:
                problems.add(outcome.reason)
                contract = outcome.contract
                found.append(
                    Foreseen(day, str(contract.customer), "held", contract.currency, Decimal(0), problem=outcome.reason)
                )
        found += _taken(due, day, assumption.now)
    return found


def _days(ids: Sequence[int], to: date, now: datetime) -> dict[date, list[int]]:
    """On which days to bill which contracts: today, and whenever something falls due or changes until `to`."""
    contracts = Contract.objects.in_bulk(ids)
    found: dict[date, list[int]] = defaultdict(list)
    for pk, terms in terms_of(list(contracts.values())).items():
        timezone = contracts[pk].timezone
        found[local_date(now, timezone)].append(pk)
        if not isinstance(terms, ContractTerms):
            continue
        instants = _instants(terms, now, local_midnight(to, timezone))
        days = {local_date(each - timedelta(microseconds=1), timezone) + timedelta(days=1) for each in instants}
        for day in days - {local_date(now, timezone)}:
            found[day].append(pk)
    return found


def _instants(terms: ContractTerms, now: datetime, until: datetime) -> set[datetime]:
    """The bounds of cycles and of terms between now and then."""
    bounds: set[datetime | None] = {terms.term.start, terms.term.end}
    calendars = {terms.calendar}
    for interval in terms.intervals:
        bounds |= {interval.period.start, interval.period.end}
        calendars |= {calendar_of(terms, charge) for charge in interval.charges}
    for period in (*(each.period for each in terms.spend), *(each.period for each in terms.free)):
        bounds |= {period.start, period.end}
    for calendar in calendars:
        for cycle in cycles_between(calendar, until + timedelta(microseconds=1), now):
            bounds |= {cycle.period.start, cycle.period.end}
    return {bound for bound in bounds if bound is not None and now < bound <= until}


def _taken(contract_ids: Sequence[int], day: date, now: datetime) -> list[Foreseen]:
    """The drafts of a day as invoices, recorded so that the next day stands on them; ones that are carried stay."""
    mine = InvoiceLine.objects.filter(stream__contract__in=contract_ids, invoice__state=InvoiceState.DRAFT)
    drafts = Invoice.objects.filter(Q(pk__in=mine.values("invoice"))).select_related("customer").order_by("pk")
    invoices = list(drafts)
    carried = waiting(invoices, now + _LATER)
    invoices = [each for each in invoices if each.pk not in carried]
    lines: dict[int, list[InvoiceLine]] = {each.pk: [] for each in invoices}
    related = InvoiceLine.objects.filter(invoice__in=invoices).select_related("stream__contract__customer")
    for line in related.order_by("invoice", "position"):
        lines[line.invoice_id].append(line)
    record(invoices=invoices, lines=[line for group in lines.values() for line in group], user=None, now=now)
    return [_foreseen(invoice, lines[invoice.pk], day) for invoice in invoices]


def _foreseen(invoice: Invoice, lines: Sequence[InvoiceLine], day: date) -> Foreseen:
    return Foreseen(
        day=day, payer=str(invoice.customer), kind=invoice.kind, currency=invoice.currency, total=invoice.total,
        lines=tuple(
            ForeseenLine(
                customer=str(line.stream.contract.customer), contract=line.stream.contract.number, kind=line.kind,
                description=line.description, start=line.service_start, end=line.service_end, quantity=line.quantity,
                unit=line.unit, amount=line.amount,
            )
            for line in lines
        ),
    )  # fmt: skip

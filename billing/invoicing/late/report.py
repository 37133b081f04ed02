"""Late usage and what became of it: events that arrived after their cycle was billed, and every adjustment since.

A row is what one document made of a charge's cycle, or what no document has yet. What arrived when is told by
positions (docs/late-usage.md). Every adjustment line of the cycles stands in exactly one row, so that the sum of the
rows is the sum of the adjustment lines, and what waits for a run.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from django.db.models import Q

from billing.invoicing.engine import deltas
from billing.invoicing.holds.models import Hold
from billing.invoicing.late.arrived import known_to, meters_of
from billing.invoicing.late.queries import waiting
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import RECORDED, InvoiceState
from billing.metering.arrivals import Arrival, Asked, arrivals, known_at
from billing.metering.asking import Known
from billing.metering.models import Meter
from billing.metering.queries import claims_of
from billing.money import EXACT
from billing.periods import Period
from customers.models import Contract, Customer

Fate = Literal["billed", "approved", "draft", "grace", "waiting", "held", "nothing"]
Cycle = tuple[int, Period]
"""A stream and a cycle: usage, its minimum and its maximum are slots of the same."""
Key = tuple[int, int, Period]
"""Subscription, charge code (0 for all) and cycle: the same, as rules name it."""
SAME: Final = "It comes to the same amount."
CHUNK: Final = 200
"""Contracts whose differences are computed at once."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What to report: cycles that overlap a time, of some customers and of meters with a code, if given."""

    period: Period
    customer_ids: tuple[int, ...] | None = None
    meter: str = ""


@dataclass(slots=True)
class Row:
    """What arrived late of a charge's cycle and went the same way; `invoice` is the document that has it.

    `came`, `taken` and `given` count events that came, and that corrections took back or gave back; `quantity` is what
    they add, None where that has no meaning. `amount` is the difference in money, rounded as its lines are; None on an
    open draft, whose lines hold it with all the rest.
    """

    key: Key
    contract: Contract
    customer: Customer
    name: str
    meter: Meter | None
    unit: str
    cycle: Period
    first: Invoice
    fate: Fate
    invoice: Invoice | None = None
    reason: str = ""
    came: int = 0
    taken: int = 0
    given: int = 0
    quantity: Decimal | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    amount: Decimal | None = Decimal(0)

    def add(self, arrival: Arrival) -> None:
        """Count what a batch changed."""
        self.came, self.taken, self.given = (
            self.came + arrival.came, self.taken + arrival.taken, self.given + arrival.given
        )  # fmt: skip
        if arrival.value is not None:
            self.quantity = EXACT.add(self.quantity or Decimal(0), arrival.value)
        self.first_at = min(self.first_at or arrival.recorded_at, arrival.recorded_at)
        self.last_at = max(self.last_at or arrival.recorded_at, arrival.recorded_at)


@dataclass(slots=True)
class _Billed:
    """A cycle that was billed: its lines in the order of their revisions, drafts last, and what arrived since."""

    lines: list[InvoiceLine] = field(default_factory=list)
    arrived: list[Arrival] = field(default_factory=list)

    @property
    def base(self) -> InvoiceLine:
        """The line that billed it first: of usage, where it has some."""
        return next((line for line in self.lines if line.kind == InvoiceLine.Kind.USAGE), self.lines[0])

    @property
    def is_open(self) -> bool:
        """Whether no document but a draft has it yet."""
        return self.base.invoice.state not in RECORDED

    @property
    def later(self) -> list[InvoiceLine]:
        """The lines that brought it up to date on other documents, or are to."""
        return [line for line in self.lines if line.invoice_id != self.base.invoice_id]


def late_usage(filters: Filters, now: datetime) -> list[Row]:
    """The rows, the latest arrival first. The number of queries grows with meters, and with hundreds of contracts that
    have something no document shows yet; MonthDetached when events of a detached month are needed."""
    cycles = _only(_billed(filters), now)
    meters = _arrived(cycles)
    known = known_to({line.invoice for each in cycles.values() if each.arrived for line in each.lines})
    rows = [row for key, each in cycles.items() for row in _rows(each, meters.get(key), known)]
    _settle(rows, cycles, now)
    if filters.meter:
        rows = [row for row in rows if row.meter and row.meter.code == filters.meter]
    return sorted(rows, key=lambda row: (row.last_at or row.first.updated_at, row.contract.pk), reverse=True)


def _billed(filters: Filters) -> dict[Cycle, _Billed]:
    """The cycles with lines on any document, those on drafts last; one query."""
    lines = (
        InvoiceLine.objects.filter(
            Q(revision__isnull=False) | Q(invoice__state=InvoiceState.DRAFT),
            slot__cycle_start__lt=filters.period.until, slot__cycle_end__gt=filters.period.start,
        )
        .select_related("invoice", "slot", "stream__contract__customer")
        .defer("steps", "terms")
        .order_by("revision", "id")
    )  # fmt: skip
    if filters.customer_ids is not None:
        lines = lines.filter(stream__contract__customer__in=filters.customer_ids)
    found: dict[Cycle, _Billed] = defaultdict(_Billed)
    for line in lines:
        slot = line.slot
        assert slot is not None
        assert slot.cycle_start is not None  # it is filtered by it
        found[line.stream_id, Period(slot.cycle_start, slot.cycle_end)].lines.append(line)
    for each in found.values():
        each.lines.sort(key=lambda line: line.invoice.state == InvoiceState.DRAFT)
    return found


def _only(cycles: Mapping[Cycle, _Billed], now: datetime) -> dict[Cycle, _Billed]:
    """Those that were billed, and those whose draft stays open for late usage."""
    drafts = {each.base.invoice_id: each.base.invoice for each in cycles.values() if each.is_open}
    waits = {pk for pk, each in waiting(drafts.values(), now).items() if each.until}
    return {key: each for key, each in cycles.items() if not each.is_open or each.base.invoice_id in waits}


def _arrived(cycles: Mapping[Cycle, _Billed]) -> dict[Cycle, Meter]:
    """Fill in what arrived after each cycle was billed first, or ended where it is open; the meters that count it."""
    keys = [key for key, each in cycles.items() if each.base.kind == InvoiceLine.Kind.USAGE]
    bases = [cycles[key].base for key in keys]
    meters, known = meters_of(bases), known_to({base.invoice for base in bases})
    ends = known_at(cycle.until for _, cycle in keys)
    claims = claims_of({base.stream.contract.customer_id for base in bases})
    asked = [
        Asked(place, meters[place], claims[base.stream.contract.customer_id],
              Period(base.service_start, base.service_end),
              ends[keys[place][1].until] if cycles[keys[place]].is_open else known[base.invoice_id])
        for place, base in enumerate(bases)
        if place in meters
    ]  # fmt: skip
    for each in arrivals(asked):
        cycles[keys[each.key]].arrived.append(each)
    return {keys[place]: meter for place, meter in meters.items()}


def _rows(cycle: _Billed, meter: Meter | None, known: Mapping[int, Known]) -> list[Row]:
    """A row for each document that adjusts a cycle or was the first to know something of it, and one for the rest."""
    if not cycle.arrived and not cycle.later:
        return []
    if cycle.is_open:
        row = _row(cycle, meter, cycle.base.invoice)
        row.fate, row.amount, row.reason = "grace", None, "It came in time: the draft takes it in."
        for arrival in cycle.arrived:
            row.add(arrival)
        return [row]
    invoices = {line.invoice_id: line.invoice for line in cycle.lines}
    rows: dict[int | None, Row] = {}
    for arrival in cycle.arrived:
        knew = _first_to_know(arrival, invoices, known)
        rows.setdefault(knew.pk if knew else None, _row(cycle, meter, knew)).add(arrival)
    for line in cycle.later:
        row = rows.setdefault(line.invoice_id, _row(cycle, meter, line.invoice))
        row.amount = (row.amount or Decimal(0)) + line.amount
    return list(rows.values())


def _first_to_know(
    arrival: Arrival, invoices: Mapping[int, Invoice], known: Mapping[int, Known]
) -> Invoice | None:  # fmt: skip
    """The first document of a cycle that was computed when something was known."""
    return next((each for pk, each in invoices.items() if known[pk].includes(arrival.batch, arrival.position)), None)


def _row(cycle: _Billed, meter: Meter | None, invoice: Invoice | None) -> Row:
    """An empty row."""
    base, contract = cycle.base, cycle.base.stream.contract
    assert base.slot is not None
    assert base.slot.cycle_start is not None  # see _billed
    cycle_of = Period(base.slot.cycle_start, base.slot.cycle_end)
    return Row(
        key=_key(base, cycle_of), contract=contract, customer=contract.customer, name=base.description,
        meter=meter, unit=base.unit, cycle=cycle_of, first=base.invoice,
        fate=_fate_of(invoice), invoice=invoice,
    )  # fmt: skip


def _fate_of(invoice: Invoice | None) -> Fate:
    """What became of what is on a document."""
    if invoice is None:
        return "waiting"
    states: dict[str, Fate] = {InvoiceState.DRAFT: "draft", InvoiceState.APPROVED: "approved"}
    return states.get(invoice.state, "billed")


def _settle(rows: Sequence[Row], cycles: Mapping[Cycle, _Billed], now: datetime) -> None:
    """What no document has: what the next run would make of it, that it changes nothing, or why it is held."""
    found = {row.key: row for row in rows if row.fate == "waiting"}
    contracts = {row.contract.pk: row.contract for row in found.values()}
    drafted = _on_drafts(cycles)
    held = _held(contracts)
    for contract, error, amounts in _differences(list(contracts.values()), now):
        for key, row in found.items():
            if row.contract.pk == contract:
                row.amount = amounts.get(key, Decimal(0)) - drafted.get(key, Decimal(0))
                row.fate, row.reason = _told(row.amount, error, held.get(contract, ""))
    for row in rows:
        if row.invoice and row.amount == 0:
            row.reason = SAME


def _told(amount: Decimal, error: str, held: str) -> tuple[Fate, str]:
    """What becomes of what no document has."""
    if error:
        return "held", error
    if not amount:
        return "nothing", SAME
    return ("held", held) if held else ("waiting", "The next billing run takes it in.")


def _differences(contracts: Sequence[Contract], now: datetime) -> Iterator[tuple[int, str, dict[Key, Decimal]]]:
    """What each contract's cycles would be brought up to date by, or why it cannot be said."""
    for start in range(0, len(contracts), CHUNK):
        chunk = contracts[start : start + CHUNK]
        for delta in deltas(chunk, {contract.pk: now for contract in chunk}):
            amounts: dict[Key, Decimal] = defaultdict(Decimal)
            for line in delta.slots:
                amounts[(*line.stream, line.cycle)] += line.amount
            yield delta.contract.pk, str(delta.error or ""), amounts


def _on_drafts(cycles: Mapping[Cycle, _Billed]) -> dict[Key, Decimal]:
    """What drafts have of cycles that were billed before."""
    found: dict[Key, Decimal] = defaultdict(Decimal)
    for (_, cycle), each in cycles.items():
        for line in each.later:
            if line.invoice.state == InvoiceState.DRAFT:
                found[_key(line, cycle)] += line.amount
    return found


def _key(line: InvoiceLine, cycle: Period) -> Key:
    return *line.stream.key, cycle


def _held(contract_ids: Iterable[int]) -> dict[int, str]:
    """Why contracts are held, where they are; one query."""
    holds = Hold.objects.filter(contract__in=list(contract_ids), released_at=None, ended_at=None).order_by("-id")
    return {each.contract_id: each.sentence for each in holds}

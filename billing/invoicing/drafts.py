"""Drafts are the current delta, recomputed in place: one for each payer, group, seller and currency.

A draft holds lines of several contracts. Those of the contracts given are brought to their deltas; what others have on
the same draft stays. Constant queries for a chunk of contracts.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Prefetch

from billing.invoicing.computations.models import Computation
from billing.invoicing.copying import copy_rows, draw_keys, unsaved
from billing.invoicing.engine import Delta
from billing.invoicing.errors import InvoicingError, NegativeTotal
from billing.invoicing.late.arrived import tell_late
from billing.invoicing.lines import lines_of
from billing.invoicing.models import BillingRun, Invoice, InvoiceLine, Stream
from billing.invoicing.slots import CONCESSION
from billing.invoicing.states import InvoiceState
from billing.invoicing.taxes.drafting import Document, find_taxes, rows_of, share_out
from billing.invoicing.taxes.errors import TaxError
from billing.invoicing.taxes.models import InvoiceTax
from billing.money import plain
from billing.periods import local_date
from customers.models import Contract, LegalEntity
from customers.queries import Payers, payers_of

# Two drafts are equal when these are: everything of a line but its identity, its place and who computed it.
COMPARED = [
    "stream_id", "kind", "charge_id", "corrects_id", "description", "service_start", "service_end", "terms", "fraction",
    "quantity", "unit", "steps", "slot_id", "billed_before", "desired", "amount", "tax_included", "late",
]  # fmt: skip


class Place(NamedTuple):
    """Which document a line belongs on: there is one open draft of each."""

    customer_id: int
    entity_id: int
    currency: str
    group: str
    apart: bool = False


Section = tuple[int, int, int]
"""Whose lines they are: not the payer's own, customer id and contract id, in the order in which they are printed."""


Apart = Callable[[Contract, InvoiceLine], bool]


def concedes(line: InvoiceLine) -> bool:
    """Whether a line is a credit that somebody conceded: it has a document of its own."""
    return line.kind == InvoiceLine.Kind.ONE_OFF and CONCESSION in (line.terms or {})


def _never(contract: Contract, line: InvoiceLine) -> bool:
    """Everything on the regular document."""
    return False


@dataclass(frozen=True, slots=True)
class Drafted:
    """What became of a contract's drafts: `changed` is False when they stood so already; `error` why one is held."""

    invoice: Invoice | None
    changed: bool
    error: InvoicingError | None = None


@dataclass(slots=True)
class _Document:
    """A draft as it is and as it shall be, by section."""

    place: Place
    invoice: Invoice | None = None
    old: dict[Section, list[InvoiceLine]] = field(default_factory=lambda: defaultdict(list))
    new: dict[Section, list[InvoiceLine]] = field(default_factory=lambda: defaultdict(list))

    @property
    def lines(self) -> list[InvoiceLine]:
        """As they shall be, in the order in which they are printed."""
        return [line for section in sorted(self.new) for line in self.new[section]]

    @property
    def net(self) -> Decimal:
        """Σ of the lines as they shall be."""
        return sum((line.amount for line in self.lines), Decimal(0))

    @property
    def tax(self) -> Decimal:
        """Σ of their tax."""
        return sum((line.tax for line in self.lines), Decimal(0))

    def conceded(self) -> bool:
        """Whether a credit that somebody asked for stands on it."""
        return any(map(concedes, self.lines))

    def moved(self) -> set[int]:
        """The contracts whose lines change."""
        if not self.old:
            return {each[2] for each in self.new}
        sections = self.old.keys() | self.new.keys()
        return {each[2] for each in sections if _content(self.old.get(each, [])) != _content(self.new.get(each, []))}


def place_of(invoice: Invoice) -> Place:
    """Where an invoice stands."""
    return Place(invoice.customer_id, invoice.entity_id, invoice.currency, invoice.group, invoice.apart)


def write_drafts(
    deltas: Sequence[Delta],
    *,
    as_of: Mapping[int, date],
    run: BillingRun | None,
    now: datetime,
    computation: Computation,
    apart: Apart = _never,
) -> dict[int, Drafted]:
    """Bring the open drafts to the deltas of these contracts; by contract id. One with an error has no lines.

    `apart` tells the lines that go on a document of corrections, beside the regular one.

    The caller holds the locks of everyone concerned, and began the `computation` under them. A draft without lines is
    deleted; one that is equal already is not touched. A negative one is a credit note, or, where the seller has it so,
    held: it is deleted until charges outweigh it (R5.4).
    """
    contracts = [delta.contract for delta in deltas]
    fresh = lines_of([delta for delta in deltas if delta.error is None], computation)
    tell_late(contracts, fresh)
    documents = _documents(contracts, fresh, apart)
    errors: dict[int, InvoicingError] = {**_tax(documents, contracts, as_of), **_hold(documents)}
    moved = {place: document.moved() for place, document in documents.items()}
    _store([document for place, document in documents.items() if moved[place]], as_of, run, now, computation)
    _tell_known(documents.values(), {each.pk for each in contracts}, computation)
    invoices = {section[2]: each.invoice for each in reversed(documents.values()) for section in each.new}
    changed = {contract for contracts in moved.values() for contract in contracts}
    return {each.pk: Drafted(invoices.get(each.pk), each.pk in changed, errors.get(each.pk)) for each in contracts}


def days_of(contracts: Sequence[Contract], as_of: date) -> dict[int, date]:
    """As of which day to bill each contract, by its id: not before that of a draft that it may stand on.

    An earlier run does not take back what fell due since. Two queries.
    """
    payers = payers_of(contracts)
    latest: dict[Place, date] = {}
    customers = {customer for each in payers.values() for customer in each.everyone}
    for draft in Invoice.objects.filter(state=InvoiceState.DRAFT, customer__among=customers):
        place = place_of(draft)._replace(apart=False)
        latest[place] = max(draft.as_of, latest.get(place, as_of))
    found = {}
    for each in contracts:
        places = [_place(each, customer) for customer in payers[each.pk].everyone]
        found[each.pk] = max([as_of, *(latest.get(place, as_of) for place in places)])
    return found


def payers_moved(lines: Iterable[InvoiceLine]) -> set[int]:
    """The drafts for whose lines somebody else has come to pay since they were written, by id; one query.

    Lines come with `invoice` and `stream__contract`.
    """
    mine = [line for line in lines if line.corrects_id is None]
    payers = payers_of({line.stream.contract for line in mine})
    return {
        line.invoice_id
        for line in mine
        if _payer_of(line, payers[line.stream.contract_id], {}, line.stream.contract.timezone)
        != line.invoice.customer_id
    }


def _place(contract: Contract, payer_id: int, apart: bool = False) -> Place:
    return Place(payer_id, contract.entity_id, contract.currency, contract.invoice_group, apart)


def _section(place: Place, contract: Contract) -> Section:
    return int(contract.customer_id != place.customer_id), contract.customer_id, contract.pk


def _documents(
    contracts: Sequence[Contract], fresh: Mapping[int, list[InvoiceLine]], apart: Apart
) -> dict[Place, _Document]:
    """Every draft that the contracts have or shall have lines on, in order; lines of other contracts as they are."""
    documents: dict[Place, _Document] = {}
    payers, billed = payers_of(contracts), _billed_to(fresh)
    for contract in contracts:
        sections: dict[tuple[int, bool], list[InvoiceLine]] = {}
        for line in fresh.get(contract.pk, []):
            payer = _payer_of(line, payers[contract.pk], billed, contract.timezone), apart(contract, line)
            if payer not in sections:
                place = _place(contract, *payer)
                document = documents.setdefault(place, _Document(place))
                sections[payer] = document.new[_section(place, contract)]
            sections[payer].append(line)
    ids = {each.pk for each in contracts}
    for draft in _open_drafts(ids, documents):
        document = documents.setdefault(place_of(draft), _Document(place_of(draft)))
        document.invoice = draft
        for line in draft.lines.all():
            section = _section(document.place, line.stream.contract)
            document.old[section].append(line)
            if line.stream.contract_id not in ids:
                document.new[section].append(line)
    return dict(sorted(documents.items()))


def _billed_to(fresh: Mapping[int, list[InvoiceLine]]) -> dict[int, int]:
    """Who was billed the lines that are corrected, by line id."""
    corrected = {line.corrects_id for lines in fresh.values() for line in lines if line.corrects_id}
    if not corrected:
        return {}
    return dict(InvoiceLine.objects.filter(pk__in=corrected).order_by().values_list("pk", "invoice__customer"))


def _payer_of(line: InvoiceLine, payers: Payers, billed: Mapping[int, int], timezone: str) -> int:
    """Who pays a line: for a correction whoever was billed (R5.3), else who pays on its first day of service."""
    if line.corrects_id:
        return billed[line.corrects_id]
    return payers.on(local_date(line.service_start, timezone)) if payers.change else payers.customer_id


def _open_drafts(contract_ids: Iterable[int], places: Iterable[Place]) -> Iterable[Invoice]:
    """The drafts that have lines of the contracts, and those at the places, with their lines; five queries."""
    streams = list(Stream.objects.filter(contract__among=contract_ids).values_list("pk", flat=True))  # by their index
    held = InvoiceLine.objects.filter(stream__among=streams, invoice__state=InvoiceState.DRAFT)
    here = Invoice.objects.filter(
        customer__among={each.customer_id for each in places}, group__in={each.group for each in places},
        state=InvoiceState.DRAFT,
    )  # fmt: skip
    ids = {*held.order_by().values_list("invoice", flat=True), *here.order_by().values_list("pk", flat=True)}
    drafts = Invoice.objects.filter(pk__among=ids)
    return drafts.prefetch_related(Prefetch("lines", InvoiceLine.objects.select_related("stream__contract")))


def _tax(
    documents: Mapping[Place, _Document], contracts: Sequence[Contract], as_of: Mapping[int, date]
) -> dict[int, TaxError]:
    """Tax the lines of drafts. A contract whose taxes cannot be told has no lines; the reason, by its id."""
    known = {each.pk: each for each in contracts}
    fresh = [
        (line, known[section[2]], place.customer_id)
        for place, document in documents.items()
        for section, lines in document.new.items()
        if section[2] in known
        for line in lines
    ]
    errors = find_taxes(fresh)
    for document in documents.values():
        for section in [each for each in document.new if each[2] in errors]:
            del document.new[section]
    share_out([
        Document(place.entity_id, place.currency, _day(each, as_of), each.lines)
        for place, each in documents.items() if each.new
    ])  # fmt: skip
    return errors


def _hold(documents: Mapping[Place, _Document]) -> dict[int, InvoicingError]:
    """Take the lines off drafts that may not be negative; the reason, by contract that has some there."""
    sellers = LegalEntity.objects.in_bulk({place.entity_id for place in documents})
    errors: dict[int, InvoicingError] = {}
    for place, document in documents.items():
        waits = sellers[place.entity_id].negative == LegalEntity.Negative.NEXT_INVOICE
        if (total := document.net + document.tax) < 0 and waits and not document.conceded():
            reason = NegativeTotal(f"{place.currency} {plain(-total)}")
            errors |= {section[2]: reason for section in document.new}
            document.new.clear()
    return errors


def _store(
    documents: Sequence[_Document], as_of: Mapping[int, date], run: BillingRun | None, now: datetime,
    computation: Computation,
) -> None:  # fmt: skip
    """Write what changed: lines are made anew, invoices kept, and deleted where no line is left."""
    stale = [each.invoice.pk for each in documents if each.invoice]
    empty = [each.invoice.pk for each in documents if each.invoice and not each.new]
    InvoiceLine.objects.filter(invoice__in=stale).delete()
    InvoiceTax.objects.filter(invoice__in=stale).delete()
    Invoice.objects.filter(pk__in=empty).delete()
    full = [each for each in documents if each.new]
    new = [_begin(each, now, computation) for each in full if each.invoice is None]
    old = [each.invoice for each in full if each.invoice and each.invoice.pk]
    for document in full:
        _sum_up(document, as_of, run, now)
    for invoice, key in zip(new, draw_keys(Invoice, len(new)), strict=True):
        invoice.pk = key
    copy_rows(Invoice, new, keyed=True)
    Invoice.objects.bulk_update(old, ["kind", "contract", "net", "tax", "total", "as_of", "run", "updated_at"])
    copy_rows(InvoiceLine, [line for document in full for line in _numbered(document)])
    copy_rows(InvoiceTax, [row for each in full if each.invoice for row in rows_of(each.invoice, each.lines)])


def _tell_known(documents: Iterable[_Document], ids: Collection[int], computation: Computation) -> None:
    """Let drafts whose lines were all computed now know what of usage was known, whether or not they changed.

    One that keeps lines of other contracts stays at what was known to these.
    """
    whole = [
        each.invoice.pk
        for each in documents
        if each.invoice
        and (each.invoice.known_position, each.invoice.known_pending) != (computation.position, computation.pending)
        and {section[2] for section in each.new} <= set(ids)
    ]
    if whole:
        told = {"known_position": computation.position, "known_pending": computation.pending}
        Invoice.objects.filter(pk__among=whole).update(**told)


def _begin(document: _Document, now: datetime, computation: Computation) -> Invoice:
    """A new draft at its place; all of its lines were computed now."""
    document.invoice = unsaved(
        Invoice, **document.place._asdict(), created_at=now, known_position=computation.position,
        known_pending=computation.pending,
    )  # fmt: skip
    return document.invoice


def _sum_up(document: _Document, as_of: Mapping[int, date], run: BillingRun | None, now: datetime) -> None:
    """Its kind, its amounts, and as of when: the latest day of the contracts on it."""
    invoice, contracts = document.invoice, [section[2] for section in document.new]
    assert invoice is not None  # begun before
    invoice.net, invoice.tax = document.net, document.tax
    invoice.total = invoice.net + invoice.tax
    invoice.kind = Invoice.Kind.CREDIT_NOTE if invoice.total < 0 else Invoice.Kind.INVOICE
    invoice.contract_id = contracts[0] if len(contracts) == 1 else None
    invoice.as_of, invoice.run, invoice.updated_at = _day(document, as_of), run, now


def _day(document: _Document, as_of: Mapping[int, date]) -> date:
    """As of when: the latest day of the contracts on it."""
    days = [as_of[section[2]] for section in document.new if section[2] in as_of]
    return max(days + ([document.invoice.as_of] if document.invoice and document.invoice.pk else []))


def _numbered(document: _Document) -> list[InvoiceLine]:
    """The lines in the order in which they are printed, as rows to insert."""
    assert document.invoice is not None  # begun before
    invoice, lines = document.invoice.pk, document.lines
    for position, line in enumerate(lines, 1):
        line.pk, line.invoice_id, line.position = None, invoice, position
    return lines


def _content(lines: Iterable[InvoiceLine]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(line, name) for name in (*COMPARED, "taxes")) for line in lines]

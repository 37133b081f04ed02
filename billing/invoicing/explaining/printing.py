"""An explanation as texts in the customer's language, with nothing that is the seller's alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from billing.invoicing.behind.blocks import Row, usage_rows
from billing.invoicing.behind.printed import shown
from billing.invoicing.behind.queries import Behind
from billing.invoicing.document_context import PrintedStep, Writer, rating_steps
from billing.invoicing.explaining.events import counted_text
from billing.invoicing.explaining.values import Billed, Explanation, PriceOrigin
from billing.invoicing.formatting import share_in_days
from billing.invoicing.languages.explained import explained_in
from billing.invoicing.late.wording import late_in_words
from billing.invoicing.models import InvoiceLine
from billing.invoicing.states import NUMBERED
from billing.invoicing.taxes.finding import from_rows
from billing.invoicing.taxes.printing import tax_label
from billing.metering.asking import CountedEvent
from billing.periods import Period, zone
from billing.pricing.words import plural


@dataclass(frozen=True, slots=True)
class PrintedEvent:
    """An event as the customer sees it: when, its id, values of dimensions, and what it counts."""

    time: str
    id: str
    values: list[str]
    quantity: str


@dataclass(frozen=True, slots=True)
class PrintedUsage:
    """Usage by values and by day: label and quantity; `note` where days do not add up."""

    values_title: str
    values: list[Row]
    days_title: str
    days: list[Row]
    note: str


@dataclass(frozen=True, slots=True)
class PrintedExplanation:
    """Texts ready to print. What there is nothing of is empty.

    `prices` are days and words; `sums` and `taxes` label and amount; `billed` what, its amount, and what then stood.
    """

    labels: Mapping[str, str]
    title: str
    period: str
    quantity: str
    amount: str
    sentences: list[str]
    prices: list[tuple[str, str]]
    steps: list[PrintedStep]
    sums: list[tuple[str, str]]
    billed: list[tuple[str, str, str]]
    taxes: list[tuple[str, str]]
    tax_notes: list[str]
    usage: PrintedUsage | None = None
    archived: str = ""
    events: str = ""
    dimensions: tuple[str, ...] = ()
    sample: list[PrintedEvent] = field(default_factory=list)


def printed(explanation: Explanation, write: Writer, sample: Sequence[CountedEvent] = ()) -> PrintedExplanation:
    """All of an explanation that the customer may know; `sample` are events to show. No query."""
    line, labels = explanation.line, explained_in(str(write.locale))
    usage = explanation.usage
    return PrintedExplanation(
        labels=labels,
        title=line.description,
        period=write.period(line.service_start, line.service_end, explanation.timezone),
        quantity=_quantity(line, write),
        amount=write.money(line.amount),
        sentences=list(_sentences(explanation, write, labels)),
        prices=_prices(explanation, write, labels),
        steps=list(rating_steps(line, write, explanation.timezone)),
        sums=list(_sums(explanation, write, labels)),
        billed=_billed(explanation, write, labels),
        taxes=_taxes(line, write, labels),
        tax_notes=list(_tax_notes(line, labels)),
        usage=_usage(usage, write, labels) if usage else None,
        archived=labels["archived"] if explanation.archived else "",
        events=_events(explanation, write, labels),
        dimensions=usage.dimensions if usage else (),
        sample=[_event(each, explanation.timezone, write) for each in sample],
    )  # fmt: skip


def _quantity(line: InvoiceLine, write: Writer) -> str:
    """“1,200 tokens”, or nothing."""
    if line.quantity is None:
        return ""
    unit = plural(line.unit, Fraction(line.quantity)) if line.unit else ""
    return f"{write.quantity(line.quantity)} {unit}".strip()


def _sentences(explanation: Explanation, write: Writer, labels: Mapping[str, str]) -> Iterator[str]:
    """What the line is, whether it is a difference, and what came late."""
    line, zone_name = explanation.line, explanation.timezone
    share = share_in_days(line.service_start, line.service_end, line.fraction, zone_name, labels)
    values = {
        "period": write.period(line.service_start, line.service_end, zone_name),
        "share": share,
        "voided": line.invoice.reverses.number if line.invoice.reverses else "",
        "other": place_of(line.corrects, labels) if line.corrects else "",
    }
    for name in explanation.sentences:
        yield labels[f"line_{name}"].format(**values)
    if told := late_in_words(line.late, line.quantity, line.unit, write.quantity, labels):
        yield f"{told}."


def place_of(line: InvoiceLine, labels: Mapping[str, str]) -> str:
    """“INV-000001, line 2”, or that its document has no number yet."""
    number = line.invoice.number
    return labels["line_of"].format(document=number, line=line.position) if number else labels["unissued"]


def _prices(explanation: Explanation, write: Writer, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Days and where the price comes from; agreements on more than one charge have no days of their own."""
    found = [
        (_days(each.period, explanation.timezone, write), _price(each, write, labels)) for each in explanation.origins
    ]
    names = [labels[key] for each in explanation.agreed if (key := f"agreed_{each.kind}") in labels]
    return found + [("", f"{labels['own_price']}: {name}") for name in names]


def _price(origin: PriceOrigin, write: Writer, labels: Mapping[str, str]) -> str:
    """“Pro, version 2, with what was agreed with you: discount”."""
    words = labels["own_price"]
    if origin.plan:
        words = labels["of_plan"].format(plan=origin.plan, number=origin.number)
    names = dict.fromkeys(labels[f"agreed_{each.kind}"] for each in origin.agreed)
    if names and origin.plan:
        words = labels["with_own"].format(price=words, agreed=", ".join(names))
    return " · ".join([words, *(write.step(each) for each in origin.conversions)])


def _days(period: Period, timezone: str, write: Writer) -> str:
    return write.period(period.start, period.until, timezone)


def _sums(explanation: Explanation, write: Writer, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """From the sum of the steps to what the line bills."""
    line, summed, wanted = explanation.line, explanation.summed, explanation.wanted
    if summed is not None and len(explanation.steps) > 1:
        yield labels["sum_of_steps"], write.addend(summed)
    if summed is not None and summed != wanted:
        yield labels["rounded"], write.amount(wanted)
    if line.billed_before:
        yield labels["already_billed"], write.amount(-line.billed_before)
    yield labels["this_line"], write.money(line.amount)


def _billed(explanation: Explanation, write: Writer, labels: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What was billed of the same thing on documents that the customer has; nothing where that is not all of it."""
    rows = [each for each in explanation.billed if each.place == "this" or _told(each)]
    untold = any(each not in rows for each in explanation.billed if each.place == "before")
    if len(rows) < 2 or untold:
        return []
    stands, found = Decimal(0), []
    for each in rows:
        stands += each.line.amount
        what = labels["this_line"] if each.place == "this" else place_of(each.line, labels)
        found.append((what, write.amount(each.line.amount), write.amount(stands)))
    return found


def _told(billed: Billed) -> bool:
    """Whether the customer has it: issued once, and to whoever pays for the line that is explained."""
    return billed.own and billed.line.invoice.state in NUMBERED


def _taxes(line: InvoiceLine, write: Writer, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    amounts = [Decimal(row["tax"]) for row in line.taxes]
    return [
        (tax_label(tax, write, labels), write.amount(amount))
        for tax, amount in zip(from_rows(line.taxes), amounts, strict=True)
    ]


def _tax_notes(line: InvoiceLine, labels: Mapping[str, str]) -> Iterator[str]:
    """The texts that must be printed, and what is to be said of how the tax came about."""
    yield from dict.fromkeys(tax.note for tax in from_rows(line.taxes) if tax.note)
    if line.taxes and line.corrects_id is not None:
        yield labels["tax_kept"]
    elif line.tax_included:
        yield labels["tax_in_price"]


def _usage(behind: Behind, write: Writer, labels: Mapping[str, str]) -> PrintedUsage | None:
    """By values and by day, the largest values alone; of a long time by month."""
    if not behind.rows:
        return None
    found = shown(behind)
    values, days = usage_rows(found, write, labels)
    return PrintedUsage(
        values_title=labels["by_values"].format(dimensions=", ".join(behind.dimensions)) if values else "",
        values=values, days_title=labels[f"by_{found['by']}"] if days else "", days=days,
        note="" if behind.adds else labels["each_alone"],
    )  # fmt: skip


def _events(explanation: Explanation, write: Writer, labels: Mapping[str, str]) -> str:
    if not explanation.events:
        return ""
    return labels["counted_events"].format(count=write.quantity(Decimal(explanation.events)))


def _event(event: CountedEvent, timezone: str, write: Writer) -> PrintedEvent:
    local = event.time.astimezone(zone(timezone))
    quantity = write.quantity(event.value) if isinstance(event.value, Decimal) else counted_text(event)
    values = [value or write.labels["none"] for value in event.values]
    return PrintedEvent(f"{write.day(local.date())} {local:%H:%M:%S}", event.id, values, quantity)

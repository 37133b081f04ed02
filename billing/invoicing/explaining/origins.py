"""Where the price of a line comes from: plan version, the change that brought it, and the customer's own terms."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.models import Charge, PlanVersion
from billing.catalog.terms.kinds import read_value
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.values import ChargeTerms, Source
from billing.catalog.terms.wording import term_in_words
from billing.catalog.wording import price_in_words
from billing.invoicing.behind.terms import KnownTerms
from billing.invoicing.explaining.agreed import computed_at, said
from billing.invoicing.explaining.values import Agreed, PriceOrigin
from billing.invoicing.models import InvoiceLine
from billing.periods import Period
from billing.pricing import PriceError, parse_price

PRICED = frozenset({"recurring", "usage", "minimum"})
"""Kinds of lines that a charge's own price makes."""
Bound = tuple[Period, ChargeTerms]


def priced_by(line: InvoiceLine) -> InvoiceLine | None:
    """The line whose price explains a line: of a credit of a fee the one that it credits, none for what has no price.

    `line` comes with `corrects`.
    """
    if line.charge_id is None or line.kind not in PRICED:
        return None
    return line.corrects if line.kind == InvoiceLine.Kind.RECURRING and line.corrects else line


def origins_of(lines: Sequence[InvoiceLine], known: Mapping[int, KnownTerms]) -> dict[int, tuple[PriceOrigin, ...]]:
    """By line id; `lines` are such as `priced_by` gives. A fixed number of queries.

    Where the terms cannot be read any more, what the line itself names.
    """
    bound = {line.pk: _bound(line, known.get(line.pk)) for line in lines}
    read = _read(lines, [charge for parts in bound.values() for _, charge in parts])
    found = {}
    for line in lines:
        at, changes = computed_at(known, line), read.changes[line.stream.subscription_id or 0]
        parts = tuple(_origin(period, charge, read, changes, at) for period, charge in bound[line.pk])
        found[line.pk] = parts or (_named(line, read.charges),)
    return found


@dataclass(frozen=True, slots=True)
class _Read:
    """What prices are told from: charges with their versions, customers' own terms, changes by subscription."""

    charges: Mapping[int, Charge]
    own: Mapping[int, SubscriptionTerm]
    changes: Mapping[int, list[SubscriptionChange]]


def _read(lines: Sequence[InvoiceLine], bound: Sequence[ChargeTerms]) -> _Read:
    """Three queries, and one for the prices of added charges."""
    charge_ids = {charge.charge_id for charge in bound} | {line.charge_id for line in lines if line.charge_id}
    term_ids = {source.term_id for charge in bound for source in charge.sources if source.term_id}
    own = SubscriptionTerm.objects.select_related("meter", "recorded_by", "charge")
    return _Read(
        Charge.objects.select_related("version__plan").in_bulk(charge_ids),
        own.prefetch_related("charge__prices").in_bulk(term_ids),
        _changes({line.stream.subscription_id for line in lines if line.stream.subscription_id}),
    )


def _bound(line: InvoiceLine, known: KnownTerms | None) -> list[Bound]:
    """The parts of a line's service time, each with its charge as it stood; neighbours that are alike are one."""
    if known is None or known.terms is None:
        return []
    service = Period(line.service_start, line.service_end)
    found: list[Bound] = []
    for each in known.terms.stretches(usage=line.kind != InvoiceLine.Kind.RECURRING):
        part = each.period.intersect(service) if each.stream == line.stream.key else None
        if part is None or part.is_empty:
            continue
        if found and found[-1][1] == each.charge and found[-1][1].sources == each.charge.sources:
            found[-1] = (Period(found[-1][0].start, part.end), each.charge)
        else:
            found.append((part, each.charge))
    return found


def _origin(
    period: Period, charge: ChargeTerms, read: _Read, changes: Sequence[SubscriptionChange], at: datetime | None
) -> PriceOrigin:
    version = read.charges[charge.charge_id].version
    rows = [(source, read.own[source.term_id]) for source in charge.sources if source.term_id]
    return PriceOrigin(
        period=period, plan=version.plan.name if version else "", number=version.number if version else None,
        version=version, price=price_in_words(charge.price, charge.unit),
        agreed=tuple(_agreed(source, row, charge) for source, row in rows),
        conversions=tuple(source.label for source in charge.sources if source.kind == "conversion"),
        change=_brought(changes, version, period, at),
    )  # fmt: skip


def _agreed(source: Source, row: SubscriptionTerm, charge: ChargeTerms) -> Agreed:
    """One of the customer's own terms, in words."""
    currency, added = charge.price.currency, None
    if row.charge:
        prices = [each for each in row.charge.prices.all() if each.currency == currency]
        added = parse_price(prices[0].price) if prices else None
    try:
        words = term_in_words(
            read_value(row.kind, row.value), currency=currency, unit=charge.unit, meter=str(row.meter or ""),
            added=added,
        )  # fmt: skip
    except PriceError as error:
        words = error.message
    return said(row.kind, source.label, words, row, start=row.start, end=row.end)


def _named(line: InvoiceLine, charges: Mapping[int, Charge]) -> PriceOrigin:
    """What the line names, where its terms cannot be read."""
    version = charges[line.charge_id].version if line.charge_id else None
    return PriceOrigin(
        Period(line.service_start, line.service_end), version.plan.name if version else "",
        version.number if version else None, version, "",
    )  # fmt: skip


def _changes(subscription_ids: set[int]) -> dict[int, list[SubscriptionChange]]:
    """The changes of subscriptions that set a version, in the order in which they hold; one query."""
    found: dict[int, list[SubscriptionChange]] = defaultdict(list)
    rows = SubscriptionChange.objects.filter(subscription__in=subscription_ids, version__isnull=False)
    for row in rows.select_related("recorded_by").order_by("at", "recorded_at", "pk"):
        found[row.subscription_id].append(row)
    return found


def _brought(
    changes: Sequence[SubscriptionChange], version: PlanVersion | None, period: Period, at: datetime | None
) -> Agreed | None:
    """The change that brought a version that holds in a period; of several the last that was recorded by a time."""
    found = [row for row in changes if version and row.version_id == version.pk and row.at <= period.start]
    if not found:
        return None
    last = ([row for row in found if at is None or row.recorded_at <= at] or found)[-1]
    label = "The subscription began" if last.runs else "Moved to this version"
    return said("change", label, "", last, start=last.at)

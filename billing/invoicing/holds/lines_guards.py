"""Guards over the lines that are to be drafted: none bills anything twice, in another currency, or below zero."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from django.db.models import Q

from billing.catalog.terms.errors import NoPrice
from billing.invoicing.engine import Delta
from billing.invoicing.fees import FeeLine
from billing.invoicing.holds.found import Held
from billing.invoicing.models import Coverage, InvoiceLine
from billing.invoicing.slots import SlotLine
from billing.invoicing.terms import WHOLE, StreamKey
from billing.money import plain
from billing.periods import Period
from customers.models import Contract


def not_computed(deltas: Sequence[Delta]) -> Iterator[Held]:
    """A missing price or currency, terms that do not fit, a price that cannot rate what it is given."""
    for delta in deltas:
        if delta.error is not None:
            code = "no_price" if isinstance(delta.error.__cause__, NoPrice) else delta.error.code
            yield Held(delta.contract.id, code, str(delta.error))


def overlaps(deltas: Sequence[Delta]) -> Iterator[Held]:
    """Two lines of one draft that charge the same stretch of a fee, or the same usage."""
    for delta in deltas:
        twice = [*_overlapping_fees(delta.fees), *_overlapping_slots(delta.slots)]
        if twice:
            yield Held(
                delta.contract.id, "overlap",
                f"{twice[0]} would be charged twice: look for overlapping terms of the contract's subscriptions.",
                tuple(twice), amount=delta.total,
            )  # fmt: skip


def _overlapping_fees(lines: Iterable[FeeLine]) -> Iterator[str]:
    streams: dict[StreamKey, list[FeeLine]] = defaultdict(list)
    for line in lines:
        if line.corrects is None:
            streams[line.stream].append(line)
    for each in streams.values():
        ordered = sorted(each, key=lambda line: line.service.start)
        for one, other in pairwise(ordered):
            if one.service.until > other.service.start:
                yield f"{other.name} from {other.service.start:%Y-%m-%d}"


def _overlapping_slots(lines: Iterable[SlotLine]) -> Iterator[str]:
    slots: dict[tuple[str, StreamKey, str], list[SlotLine]] = defaultdict(list)
    for line in lines:
        slots[line.kind, line.stream, line.about].append(line)
    for each in slots.values():
        ordered = sorted((line for line in each if line.desired), key=lambda line: line.cycle.start)
        for one, other in pairwise(ordered):
            if one.cycle.until > other.cycle.start and not one.about:  # agreements have terms of their own
                yield f"{other.name} from {other.cycle.start:%Y-%m-%d}"


def billed_already(deltas: Sequence[Delta]) -> Iterator[Held]:
    """A fee for a stretch that is covered by an approved or issued line, and not credited in the same draft."""
    charged = {delta.contract.id: [each for each in delta.fees if each.corrects is None] for delta in deltas}
    fresh = [line for lines in charged.values() for line in lines]
    if not fresh:
        return
    since = min(line.service.start for line in fresh)
    rows = Coverage.objects.filter(
        Q(end__gt=since), stream__contract__among=[pk for pk, lines in charged.items() if lines], credited_by=None
    ).values_list("stream__subscription", "stream__charge_code", "line", "start", "end")
    covered: dict[StreamKey, list[tuple[int, Period]]] = defaultdict(list)
    for subscription, code, line, start, end in rows:
        covered[subscription, code or WHOLE].append((line, Period(start, end)))
    for delta in deltas:
        credited = [line for line in delta.fees if line.corrects is not None]
        twice = [
            f"{line.name} from {shared.start:%Y-%m-%d}"
            for line in charged[delta.contract.id]
            for billed, period in covered[line.stream]
            if (shared := period.intersect(line.service)) and not _credited(shared, billed, credited)
        ]
        if twice:
            yield Held(
                delta.contract.id, "billed_already",
                f"{twice[0]} is billed already: look at the contract's invoices and at the dates of its terms.",
                tuple(twice), amount=delta.total,
            )  # fmt: skip


def _credited(period: Period, line_id: int, credits: Iterable[FeeLine]) -> bool:
    """Whether credits of a line fill a period."""
    at: datetime = period.start
    for each in sorted((each.service for each in credits if each.corrects == line_id), key=lambda each: each.start):
        if each.start <= at:
            at = max(at, each.until)
    return at >= period.until


def other_currency(deltas: Sequence[Delta]) -> Iterator[Held]:
    """A correction of a line that was billed in another currency than the contract has now (R5.3)."""
    corrected = {line.corrects: delta.contract for delta in deltas for line in delta.lines if line.corrects}
    if not corrected:
        return
    rows = InvoiceLine.objects.filter(pk__in=corrected).order_by("pk").values_list("pk", "invoice__currency")
    wrong: dict[Contract, str] = {}
    for pk, currency in rows:
        if currency != corrected[pk].currency:
            wrong.setdefault(corrected[pk], currency)
    for contract, currency in wrong.items():
        yield Held(
            contract.id, "currency",
            f"{contract} was billed in {currency} and is in {contract.currency} now, so its corrections have no common"
            " currency: end it, and make a contract in the other currency.",
        )  # fmt: skip


def negative(deltas: Sequence[Delta], released: Mapping[int, str]) -> Iterator[Held]:
    """A negative total that credits of recorded lines do not explain; with that cause it is a credit note (R5.4).

    A release lets pass the amount that it names, and no other.
    """
    for delta in deltas:
        if delta.error is not None or delta.total >= 0:
            continue
        without = [line for line in delta.lines if line.amount < 0 and line.corrects is None]
        total = sum((line.amount for line in without), Decimal(0))
        if without and released.get(delta.contract.id) != plain(-total):
            amount = f"{delta.contract.currency} {plain(-delta.total)}"
            yield Held(
                delta.contract.id, "negative",
                f"The lines come to {amount} below zero, and no earlier line is corrected that explains it: look at"
                f" the prices of {without[0].name}, or release the hold to have a credit note drawn up.",
                tuple(f"{line.name}: {plain(line.amount)}" for line in without),
                covers={"below_zero": plain(-total)}, releasable=True, amount=delta.total,
            )  # fmt: skip

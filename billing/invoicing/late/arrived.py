"""What arrived after a line was computed: events, by batch, of the usage that the line bills."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from billing.catalog.models import Charge
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.terms.states import TermKind
from billing.invoicing.models import Invoice, InvoiceLine
from billing.metering.arrivals import Asked, arrivals, known_at
from billing.metering.asking import Known
from billing.metering.filters import read_filters
from billing.metering.models import Meter
from billing.metering.queries import claims_of
from billing.periods import Period
from customers.models import Contract


def known_to(invoices: Iterable[Invoice]) -> dict[int, Known]:
    """What of usage each invoice knew when its lines were computed, by its id; by time for those of older releases."""
    found = list(invoices)
    old = known_at(each.updated_at for each in found if each.known_position is None)
    return {
        each.pk: old[each.updated_at]
        if each.known_position is None
        else Known(each.known_position, frozenset(each.known_pending or ()))
        for each in found
    }


def meters_of(lines: Collection[InvoiceLine]) -> dict[int, Meter]:
    """What counts each line's usage, by place in `lines`: its charge's meter, as the customer's own terms have it.

    The lines need their streams. A line without a meter is left out. Two queries.
    """
    charges = Charge.objects.select_related("meter").in_bulk({each.charge_id for each in lines if each.charge_id})
    own: dict[tuple[int, int], list[SubscriptionTerm]] = defaultdict(list)
    terms = SubscriptionTerm.objects.filter(
        kind__in=[TermKind.METER, TermKind.NARROWING], superseded_at=None,
        subscription__in={each.stream.subscription_id for each in lines},
    )  # fmt: skip
    for term in terms.select_related("meter").order_by("start"):
        own[term.subscription_id, term.code_id or 0].append(term)
    found = {}
    for place, line in enumerate(lines):
        meter = charges[line.charge_id].meter if line.charge_id else None
        for term in own[line.stream.key]:
            if meter and term.start < line.service_end and (term.end is None or term.end > line.service_start):
                meter = term.meter or _narrowed(meter, term.value)
        if meter:
            found[place] = meter
    return found


def _narrowed(meter: Meter, value: Mapping[str, Any]) -> Meter:
    """The meter over the part of the usage that a term names."""
    filters = json.loads(json.dumps(value["filters"], default=str), parse_float=Decimal)
    return meter.narrowed(read_filters(filters, "filters"))


def tell_late(contracts: Sequence[Contract], fresh: Mapping[int, Sequence[InvoiceLine]]) -> None:
    """Let each adjustment of usage say what came late: how many events, and how many were taken back (R5.3).

    Nothing is asked where nothing is adjusted; else the number of queries grows with meters alone.
    """
    customers = {each.pk: each.customer_id for each in contracts}
    lines = [
        (customers[contract], line)
        for contract, group in fresh.items()
        for line in group
        if line.corrects_id is not None and line.kind == InvoiceLine.Kind.USAGE
    ]
    if not lines:
        return
    billed = InvoiceLine.objects.select_related("invoice", "stream").in_bulk([line.corrects_id for _, line in lines])
    known = known_to({each.invoice for each in billed.values()})
    bases = [billed[line.corrects_id or 0] for _, line in lines]
    meters, claims = meters_of(bases), claims_of({customer for customer, _ in lines})
    asked = []
    for place, (customer, line) in enumerate(lines):
        if place in meters:
            period = Period(line.service_start, line.service_end)
            asked.append(Asked(place, meters[place], claims[customer], period, known[bases[place].invoice_id]))
    told: dict[int, dict[str, int]] = defaultdict(lambda: {"came": 0, "taken": 0, "given": 0})
    for each in arrivals(asked):
        for name in ("came", "taken", "given"):
            told[each.key][name] += getattr(each, name)
    for place, (_, line) in enumerate(lines):
        was = bases[place].quantity
        line.late = told[place] | {"was": None if was is None else f"{was:f}"}

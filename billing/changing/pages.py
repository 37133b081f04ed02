"""What the pages of changes print: the changes of a subscription in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import F

from billing.catalog.changes.fold import standing
from billing.catalog.changes.models import SubscriptionChange
from billing.catalog.changes.options import Options, read_options
from billing.catalog.changes.writing import change_of
from billing.catalog.models import Subscription
from billing.catalog.terms.models import SubscriptionTerm
from billing.changing.forms import ANCHOR, FEES, GAUGES, TIERS, UNUSED
from billing.periods import local_date
from customers.backoffice import quantity_text

WORDS = {"unused": UNUSED, "fees": FEES, "anchor": ANCHOR, "tiers": TIERS, "gauges": GAUGES}
LABELS = {"unused": "unused time", "fees": "the new fee", "anchor": "periods", "tiers": "tiers", "gauges": "gauges"}


@dataclass(frozen=True)
class Row:
    """A change: its first day, what it sets, how it takes effect, and what became of it.

    `replaced`: a later one set the same at the same instant. `undoable`: it may be undone.
    """

    change: SubscriptionChange
    day: date
    what: str
    how: str
    replaced: bool
    undoable: bool


def rows_of(subscription: Subscription) -> list[Row]:
    """Every change that was ever recorded, by the day on which it takes effect; one query."""
    found = SubscriptionChange.objects.filter(subscription=subscription).select_related(
        "version__plan", "recorded_by", "undone_by"
    )
    rows = list(found.order_by(F("at"), "pk"))
    stands = [change_of(row) for row in rows if row.undone_at is None]
    held = {each.number for _, group in standing(stands) for each in group}
    zone = subscription.contract.timezone
    return [
        Row(
            row, local_date(row.at, zone), what(row), how(read_options(row.options)),
            row.undone_at is None and row.pk not in held, row.undone_at is None and not row.runs,
        )
        for row in rows
    ]  # fmt: skip


def what(change: SubscriptionChange) -> str:
    """“Pro v2, quantity 5”."""
    parts = ["begins"] if change.runs else ["ends"] if change.runs is False else []
    parts += [str(change.version)] if change.version else []
    parts += [f"quantity {quantity_text(change.quantity)}"] if change.quantity is not None else []
    return ", ".join(parts)


def how(options: Options) -> str:
    """What it says beyond the rule, in words; "" where it says nothing."""
    said = options.to_json()
    return "; ".join(f"{LABELS[name]}: {dict(WORDS[name])[value].lower()}" for name, value in said.items())


def effect_of(made: object) -> datetime | None:
    """When what a verb made takes effect: a change, a term or the steps of a ramp; None for what tells no time."""
    if isinstance(made, SubscriptionChange):
        return made.at
    if isinstance(made, SubscriptionTerm):
        return made.end if made.replaces_id and made.end else made.start
    if isinstance(made, Sequence):
        return max(filter(None, map(effect_of, made)), default=None)
    return None

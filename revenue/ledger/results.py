"""What the verbs of the books answer."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from revenue.ledger.models import JournalEntry


@dataclass(frozen=True, slots=True)
class RecognisedMonth:
    """Revenue that a run posted for a service month: `posted_in` differs where that month was closed."""

    entity: str
    month: date
    posted_in: date
    event: JournalEntry.Event
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class RecognitionReport:
    """What a run posted: how many entries, the net revenue by currency, and the same by entity, month and kind."""

    entries: int
    amounts: Mapping[str, Decimal]
    months: tuple[RecognisedMonth, ...]


def report(entries: int, parts: Iterable[RecognisedMonth]) -> RecognitionReport:
    """Add up what each entry posted."""
    months: dict[tuple[str, date, date, JournalEntry.Event, str], Decimal] = defaultdict(Decimal)
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        months[part.entity, part.month, part.posted_in, part.event, part.currency] += part.amount
        amounts[part.currency] += part.amount
    rows = tuple(RecognisedMonth(*key, amount) for key, amount in sorted(months.items()))
    return RecognitionReport(entries, dict(sorted(amounts.items())), rows)

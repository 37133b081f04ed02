"""What the books refuse, each with a sentence that names the thing and the way out."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from revenue.words import amounts, counted, money, month_name

if TYPE_CHECKING:
    from customers.models import LegalEntity
    from revenue.ledger.models import AccountingPeriod
    from revenue.ledger.ties import Tie


class LedgerError(ValueError):
    """Base of the books' failures."""


class MonthNotOver(LedgerError):
    """A month that has not ended in an entity's time zone; `ends` is the instant at which it will have."""

    def __init__(self, entity: "LegalEntity", month: date, ends: datetime) -> None:
        self.entity, self.month, self.ends = entity, month, ends
        super().__init__(
            f"{month_name(month)} is not over in the books of {entity.code} ({entity.timezone}): it ends at "
            f"{ends:%Y-%m-%d %H:%M} UTC. Choose an earlier month, or come back after that."
        )


class PeriodAlreadyClosed(LedgerError):
    """The month was closed before; it stays as it is."""

    def __init__(self, entity: "LegalEntity", month: date, period: "AccountingPeriod | None") -> None:
        self.entity, self.month, self.period = entity, month, period
        how = "lies before a closed month"
        if period and period.closed_at:
            how = f"was closed at {period.closed_at:%Y-%m-%d %H:%M} UTC"
        super().__init__(
            f"{month_name(month)} of {entity.code} {how}. What concerns it posts in the earliest open month."
        )


class EarlierMonthOpen(LedgerError):
    """Months close in order; `month` is the earliest open one that has entries."""

    def __init__(self, entity: "LegalEntity", month: date, entries: int) -> None:
        self.entity, self.month, self.entries = entity, month, entries
        super().__init__(
            f"{month_name(month)} of {entity.code} is still open and has {counted(entries, 'entry')}: months close in "
            f"order. Close {month:%Y-%m} first."
        )


class DocumentsUnposted(LedgerError):
    """Invoices or payments dated up to the month's end that the books have not taken yet."""

    def __init__(self, entity: "LegalEntity", month: date, documents: int) -> None:
        self.entity, self.month, self.documents = entity, month, documents
        super().__init__(
            f"The books of {entity.code} have not taken {counted(documents, 'document')} dated up to the end of "
            f"{month_name(month)}. Recognise revenue through {month:%Y-%m}, which posts them, then close."
        )


class RecognitionOutstanding(LedgerError):
    """Revenue up to the month's end that is not posted: `deltas` amounts by obligation and month, `net` their sum."""

    def __init__(self, entity: "LegalEntity", month: date, deltas: int, net: Mapping[str, Decimal]) -> None:
        self.entity, self.month, self.deltas, self.net = entity, month, deltas, net
        super().__init__(
            f"{counted(deltas, 'amount')} of revenue of {entity.code} up to {month_name(month)} (net {amounts(net)}) "
            f"still to post. Recognise revenue through {month:%Y-%m}, then close."
        )


class BooksDoNotTie(LedgerError):
    """Accounts of the ledger differ from what their documents and recognitions add up to."""

    def __init__(self, entity: "LegalEntity", broken: Sequence["Tie"]) -> None:
        self.entity, self.broken = entity, broken
        what = "; ".join(f"{tie.account} {tie.name} by {money(tie.difference, tie.currency)}" for tie in broken)
        super().__init__(
            f"The books of {entity.code} do not tie: the ledger differs from its documents on {what}. Look at the ties "
            "report: something else than a document was posted to that account."
        )

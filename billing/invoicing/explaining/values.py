"""How a line of an invoice came about, as plain values: what `queries.explanation` finds, before it is put into words.

Some of it is for the seller alone: who agreed what, why and when. `printing.printed` leaves that out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, Literal

from django.db.models import Model

from billing.invoicing.behind.queries import Behind
from billing.invoicing.behind.terms import KnownTerms
from billing.invoicing.explaining.sentences import Sentence
from billing.invoicing.models import InvoiceLine
from billing.money import EXACT
from billing.periods import Period


@dataclass(frozen=True, slots=True)
class Agreed:
    """Something that was agreed with the customer, or done by hand: a dated fact with who, when and why.

    `kind` names it in every language (`languages.explained`, under `agreed_…`); `words` say it in English. `record` is
    the row that keeps it. `end` is None where it is open.
    """

    kind: str
    label: str
    words: str
    record: Model | None
    start: datetime | None = None
    end: datetime | None = None
    reason: str = ""
    recorded_at: datetime | None = None
    recorded_by: str = ""


@dataclass(frozen=True, slots=True)
class PriceOrigin:
    """Where the price comes from that held over a part of the line: a plan version, and what was agreed beyond it.

    `plan` is empty for a charge that was added for the customer. `price` says the price as it held, in English;
    `conversions` what a custom unit was worth. `change` is the change of the subscription that brought the version,
    where one was recorded.
    """

    period: Period
    plan: str
    number: int | None
    version: Model | None
    price: str
    agreed: tuple[Agreed, ...] = ()
    conversions: tuple[str, ...] = ()
    change: Agreed | None = None


@dataclass(frozen=True, slots=True)
class Billed:
    """A line that billed, credited or adjusted the same thing; `stands` is what it comes to with all before it.

    `place` says where it stands to the line that is explained. `own` is whether the same customer pays for it.
    """

    line: InvoiceLine
    place: Literal["before", "this", "after"]
    stands: Decimal
    own: bool


@dataclass(slots=True)
class Explanation:
    """All that is known of how a line came about. Amounts are in the invoice's currency, times aware UTC.

    `usage` is None for lines without a meter, and where its events lie in the archive (`archived`). `events` counts
    what was read for the quantity, as it was known when the line was computed.
    """

    line: InvoiceLine
    timezone: str
    sentences: tuple[Sentence, ...]
    origins: tuple[PriceOrigin, ...] = ()
    agreed: tuple[Agreed, ...] = ()
    billed: tuple[Billed, ...] = ()
    usage: Behind | None = None
    events: int = 0
    archived: bool = False
    known: KnownTerms | None = None

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return self.line.invoice.currency

    @property
    def steps(self) -> Sequence[dict[str, Any]]:
        """How the amount came about, in order, as the line keeps it."""
        return self.line.steps  # type: ignore[no-any-return]

    @property
    def summed(self) -> Decimal | None:
        """Σ of the steps, before it is rounded; None without steps."""
        if not self.steps:
            return None
        return reduce(EXACT.add, (Decimal(step["amount"] or 0) for step in self.steps))

    @property
    def wanted(self) -> Decimal:
        """What all of it comes to, rounded: what the line bills and what was billed before."""
        return self.line.amount if self.line.desired is None else self.line.desired

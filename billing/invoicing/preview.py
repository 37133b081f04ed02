"""Which lines a change of a contract will make: the run's own function, with the change made and taken back."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from django.db import transaction

from billing.invoicing.engine import Delta, deltas
from billing.invoicing.errors import InvoicingError
from billing.periods import local_date
from customers.models import Contract

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the next draft: what for, which days of the contract's zone (the last one excluded), how much."""

    name: str
    start: date
    end: date
    quantity: Decimal | None
    unit: str
    amount: Decimal
    credit: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """The next draft as of `on` with a change and without it, in `currency`.

    `made` are the lines that it brings, `dropped` those that it replaces, `kept` counts the others. `problem` says why
    it cannot be told.
    """

    on: date
    currency: str
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    made: tuple[Line, ...] = ()
    dropped: tuple[Line, ...] = ()
    kept: int = 0
    problem: str = ""

    @property
    def difference(self) -> Decimal:
        """What the change adds to the next draft."""
        return self.after - self.before


def preview(
    *, contract: Contract, act: Callable[[], Made], effect: Callable[[Made], datetime], now: datetime
) -> Preview:
    """Make the change, see what a run would draft when it has taken effect, and take it back; nothing is stored.

    As of `now`, or of `effect` where the change takes effect later. What `act` raises goes through.
    """
    with transaction.atomic():
        as_of = max(now, effect(act()))
        after = _lines(Contract.objects.get(pk=contract.pk), as_of)
        transaction.set_rollback(True)
    before = _lines(contract, as_of)
    on = local_date(as_of, contract.timezone)
    if isinstance(after, InvoicingError) or isinstance(before, InvoicingError):
        return Preview(on, contract.currency, problem=str(after if isinstance(after, InvoicingError) else before))
    was, becomes = Counter(before), Counter(after)
    return Preview(
        on, contract.currency, _total(before), _total(after), tuple(_sorted(becomes - was)),
        tuple(_sorted(was - becomes)), (was & becomes).total(),
    )  # fmt: skip


def _lines(contract: Contract, as_of: datetime) -> list[Line] | InvoicingError:
    (delta,) = deltas([contract], {contract.pk: as_of})
    return delta.error or _told(delta, contract.timezone)


def _told(delta: Delta, zone: str) -> list[Line]:
    return [
        Line(
            line.name, local_date(line.service.start, zone), local_date(line.service.until, zone), line.quantity,
            line.unit, line.amount, line.corrects is not None,
        )
        for line in delta.lines
    ]  # fmt: skip


def _sorted(lines: Counter[Line]) -> list[Line]:
    return sorted(lines.elements(), key=lambda each: (each.start, each.name, not each.credit, each.amount))


def _total(lines: Iterable[Line]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))

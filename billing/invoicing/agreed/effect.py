"""What a verb would do to the next bill of some contracts: the run's own sums, with the verb and without it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from billing.catalog.terms.dates import calendar_of
from billing.invoicing.engine import Delta, deltas
from billing.invoicing.slots import OFF
from billing.periods import local_date
from customers.backoffice import amount_text
from customers.models import Contract


@dataclass(frozen=True)
class Effect:
    """A contract's next bill as of a day, before and after; `lines` are what comes off then and did not before."""

    contract: Contract
    day: date
    before: Decimal
    after: Decimal
    lines: list[tuple[str, str]]
    problem: str = ""

    @property
    def before_text(self) -> str:
        """The bill without it."""
        return amount_text(self.before, self.contract.currency)

    @property
    def after_text(self) -> str:
        """The bill with it."""
        return amount_text(self.after, self.contract.currency)

    @property
    def off_text(self) -> str:
        """What it takes off."""
        return amount_text(self.before - self.after, self.contract.currency)


def effect_of(contracts: Sequence[Contract], verb: Callable[[], object], now: datetime) -> list[Effect]:
    """What the verb would change; nothing of it is kept. Its own failures are raised."""
    at = {each.pk: _next(each, now) for each in contracts}
    before = deltas(contracts, at)
    with transaction.atomic():
        verb()
        after = deltas(contracts, at)
        transaction.set_rollback(True)
    return [_effect(one, other, at[one.contract.pk]) for one, other in zip(before, after, strict=True)]


def _next(contract: Contract, now: datetime) -> datetime:
    """The end of the billing period that runs now, or of the first one."""
    calendar = calendar_of(contract)
    return calendar.cycle_at(max(now, calendar.start)).period.until


def _effect(before: Delta, after: Delta, at: datetime) -> Effect:
    contract = before.contract
    known = {(line.key, line.amount) for line in before.slots}
    lines = [
        (line.name, amount_text(line.amount, contract.currency))
        for line in after.slots if line.kind in OFF and (line.key, line.amount) not in known
    ]  # fmt: skip
    problem = str(before.error or after.error or "")
    return Effect(contract, local_date(at, contract.timezone), before.total, after.total, lines, problem)

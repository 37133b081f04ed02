"""What a move would have changed: the last three complete cycles under the old and under the new version."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from billing.catalog.models import PlanVersion, Subscription
from billing.invoicing.load import calendar_of, versions_of
from billing.invoicing.terms import ContractTerms
from billing.invoicing.whatif import Expected, expected, terms_under
from billing.metering.months.errors import MonthDetached
from billing.money import EXACT
from billing.moves.timing import TICK
from billing.periods import Period, local_date
from customers.models import Contract

CYCLES: Final = 3
HUNDRED: Final = Decimal(100)
LARGEST: Final = Decimal(9_999_999)
"""Per cent that are told; more is as good as this."""


@dataclass(slots=True)
class Effect:
    """What a subscription's charges come to over `cycles`, under its old and its new terms; rounded as invoices are.

    `problem` says why it cannot be told. `cycles` and `charges` hold texts, for the page.
    """

    before: Decimal | None = None
    after: Decimal | None = None
    problem: str = ""
    cycles: list[dict[str, str]] = field(default_factory=list)
    charges: list[dict[str, str]] = field(default_factory=list)

    @property
    def change(self) -> Decimal | None:
        """How much more the new terms come to."""
        return None if self.after is None or self.before is None else EXACT.subtract(self.after, self.before)

    @property
    def percent(self) -> Decimal | None:
        """The change in per cent of what the old terms come to; None where that is nothing."""
        if self.change is None or not self.before:
            return None
        return min(max(self.change * HUNDRED / abs(self.before), -LARGEST), LARGEST).quantize(Decimal("0.01"))


def effects(
    moved: Sequence[tuple[Subscription, int]], target: PlanVersion, as_of: datetime, *, own_terms_end: bool = False
) -> dict[int, Effect]:
    """The effect on each subscription, with its contract at hand, of moving it from a version to `target`.

    Both are rated on what was really used in the last three cycles that were complete at `as_of`, as if each had held
    all along; the old with customers' own terms on top, the new too unless `own_terms_end`. Constant queries.
    """
    versions = versions_of({target.pk, *(version for _, version in moved)})
    contracts = list({each.contract_id: each.contract for each, _ in moved}.values())
    spans = {contract.id: _span(contract, as_of) for contract in contracts}
    old = terms_under(contracts, {each.pk: versions[version] for each, version in moved})
    ending = {each.pk for each, _ in moved} if own_terms_end else set()
    new = terms_under(contracts, {each.pk: versions[target.pk] for each, _ in moved}, ending)
    asked: list[tuple[ContractTerms, Period]] = []
    places: dict[int, int] = {}
    for contract in contracts:
        terms, period = (old[contract.id], new[contract.id]), spans[contract.id]
        if period and isinstance(terms[0], ContractTerms) and isinstance(terms[1], ContractTerms):
            places[contract.id] = len(asked)
            asked += [(terms[0], period), (terms[1], period)]
    try:
        answers = expected(asked)
    except MonthDetached as error:
        return {each.pk: Effect(problem=str(error)) for each, _ in moved}
    found = {}
    for subscription, _ in moved:
        contract = subscription.contract
        place = places.get(contract.id)
        if place is not None:
            found[subscription.pk] = _effect(subscription, answers[place], answers[place + 1])
        elif spans[contract.id] is None:
            found[subscription.pk] = Effect(problem="No billing period of its contract is complete yet.")
        else:
            found[subscription.pk] = Effect(problem=_problem(old[contract.id], new[contract.id]))
    return found


def _span(contract: Contract, as_of: datetime) -> Period | None:
    """The last three complete cycles; None where there is none."""
    calendar = calendar_of(contract)
    if as_of <= calendar.start:
        return None
    end = calendar.cycle_at(as_of).period.start
    start = end
    for _ in range(CYCLES):
        if start > calendar.start:
            start = calendar.cycle_at(start - TICK).period.start
    return Period(start, end) if start < end else None


def _problem(*terms: object) -> str:
    return next((str(each) for each in terms if isinstance(each, Exception)), "")


def _effect(subscription: Subscription, old: Expected, new: Expected) -> Effect:
    """The subscription's own share of what its contract's terms come to."""
    if old.problem or new.problem:
        return Effect(problem=old.problem or new.problem)
    zone = subscription.contract.timezone
    cycles: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    charges: dict[int, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    names: dict[int, str] = {}
    for side, answer in enumerate((old, new)):
        for line in answer.lines:
            pk, code = line.stream
            if pk != subscription.pk:
                continue
            day = local_date(line.cycle.start, zone).isoformat()
            cycles[day][side] = EXACT.add(cycles[day][side], line.amount)
            charges[code][side] = EXACT.add(charges[code][side], line.amount)
            names[code] = line.charge.name if line.charge else "Agreed spending"
    before, after = (sum((pair[side] for pair in charges.values()), Decimal(0)) for side in (0, 1))
    return Effect(
        before, after,
        cycles=[_texts("start", day, pair) for day, pair in sorted(cycles.items())],
        charges=[_texts("name", names[code], pair) for code, pair in charges.items()],
    )  # fmt: skip


def _texts(key: str, value: str, pair: Sequence[Decimal]) -> dict[str, str]:
    return {key: value, "before": f"{pair[0]:f}", "after": f"{pair[1]:f}"}

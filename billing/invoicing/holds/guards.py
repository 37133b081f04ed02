"""The checks that a contract's delta must pass before it is drafted, in one list."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from billing.invoicing.engine import Delta
from billing.invoicing.errors import InvoicingError
from billing.invoicing.holds.errors import OnHold
from billing.invoicing.holds.found import Held
from billing.invoicing.holds.lines_guards import billed_already, negative, not_computed, other_currency, overlaps
from billing.invoicing.holds.usage_guards import nobody_counts, recounted, unreadable
from billing.invoicing.usage import Answer, Question
from billing.metering.asking import Known


@dataclass(frozen=True, slots=True)
class Checked:
    """What the guards of a chunk look at: what was asked of the usage store, and what releases let pass.

    `released` has, by contract and check, what the latest release covers.
    """

    asked: Mapping[Question, Answer]
    released: Mapping[tuple[int, str], Known]
    below_zero: Mapping[int, str]
    """By contract, the amount below zero that a release lets pass."""


Guard = Callable[[Sequence[Delta], Checked], Iterable[Held]]

GUARDS: Final[tuple[Guard, ...]] = (
    lambda deltas, _: not_computed(deltas),
    lambda deltas, _: overlaps(deltas),
    lambda deltas, _: billed_already(deltas),
    lambda deltas, _: other_currency(deltas),
    lambda deltas, seen: negative(deltas, seen.below_zero),
    lambda deltas, seen: recounted(deltas, seen.asked),
    lambda deltas, seen: unreadable(deltas, seen.asked, seen.released),
    lambda deltas, seen: nobody_counts(deltas, seen.released),
)
"""In the order of what a person should hear first; each makes a constant number of queries."""


def check(deltas: Sequence[Delta], seen: Checked) -> list[Held]:
    """What holds these contracts: the first reason of each, and of their customers' other contracts that they wait."""
    found: dict[int, Held] = {}
    for guard in GUARDS:
        for held in guard(deltas, seen):
            found.setdefault(held.contract_id, held)
    return [*found.values(), *_siblings(deltas, found)]


def _siblings(deltas: Sequence[Delta], found: Mapping[int, Held]) -> Iterator[Held]:
    """The other contracts of customers that are held: an invoice without a part of what is due would be wrong."""
    causes = {
        delta.contract.customer_id: delta.contract
        for delta in reversed(deltas)
        if delta.contract.id in found and not found[delta.contract.id].own
    }
    for delta in deltas:
        cause = causes.get(delta.contract.customer_id)
        if cause is not None and delta.contract.id not in found:
            sentence = f"{cause} of the same customer is held: see there why, and what to do."
            yield Held(delta.contract.id, "sibling", sentence, amount=delta.total)


def hold(deltas: Iterable[Delta], found: Iterable[Held]) -> None:
    """Put the reasons into the deltas: what has an error is not drafted."""
    reasons = {each.contract_id: each for each in found}
    for delta in deltas:
        if delta.contract.id in reasons and delta.error is None:
            reason = reasons[delta.contract.id]
            error: InvoicingError = OnHold(reason.code, reason.sentence)
            delta.error = error

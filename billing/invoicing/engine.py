"""desired − recorded for a chunk of contracts: the one function behind runs, previews and recalculated drafts.

It writes nothing. The number of queries does not grow with the number of contracts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from billing.invoicing import recorded
from billing.invoicing.concessions.rules import concession_lines
from billing.invoicing.coupons import taken_off
from billing.invoicing.due import due_on
from billing.invoicing.errors import CannotRate, InvoicingError
from billing.invoicing.facts import NOW, Facts
from billing.invoicing.fees import BilledFee, FeeLine, fee_lines
from billing.invoicing.manual.rules import Draft, Manual, manual_lines, next_due
from billing.invoicing.rated import Rated, rated
from billing.invoicing.recorded import Standings
from billing.invoicing.slots import SlotLine, discount_lines, slot_lines
from billing.invoicing.spend import spend_slots
from billing.invoicing.taxes.included import Priced, take_tax_out
from billing.invoicing.terms import ContractTerms
from billing.invoicing.usage import Answer, Question, Wanted, questions, wanted_usage
from billing.invoicing.voiding.rules import NOTHING, Waived
from billing.periods import local_date
from billing.pricing import PriceError
from customers.models import Contract

ENGINE = "1"
"""Version of the rules that compute lines; a line carries it, to tell a change of rules from a change of facts."""


@dataclass(slots=True)
class Delta:
    """What a contract's next draft holds; `error` instead when the facts do not allow to say."""

    contract: Contract
    fees: list[FeeLine] = field(default_factory=list)
    slots: list[SlotLine] = field(default_factory=list)
    error: InvoicingError | None = None
    due_on: date | None = None
    """As of which day something more falls due, from the same facts; None for never."""

    @property
    def lines(self) -> list[FeeLine | SlotLine]:
        """Everything to draw up, fees and slots."""
        return [*self.fees, *self.slots]

    @property
    def total(self) -> Decimal:
        """Σ of the rounded lines, in the contract's currency."""
        return sum((line.amount for line in self.lines), Decimal(0))


@dataclass(slots=True)
class _Desired(Priced):
    """What a contract wants as of an instant, and when something more falls due."""

    as_of: datetime = field(kw_only=True)
    due_on: date | None = field(kw_only=True)


def deltas(contracts: Sequence[Contract], as_of: Mapping[int, datetime], facts: Facts = NOW) -> list[Delta]:
    """desired(facts, as_of) − recorded for each contract; `as_of` gives each contract's instant by its id."""
    terms = facts.terms(contracts)
    ids = [contract.id for contract in contracts]
    recorded_slots, fees, manual = facts.standing(ids), facts.fees(ids), facts.manual(ids)
    conceded, waived = facts.concessions(ids), facts.waived(ids)
    standing = {key: waived.get(key, NOTHING).standing(recorded_slots[key]) for key in ids}
    good = [each for each in terms.values() if isinstance(each, ContractTerms)]
    wanted = [
        (each, wanted_usage(each, as_of[each.contract_id], kept=recorded.billed_cycles(standing[each.contract_id])))
        for each in good
    ]
    usage = dict(zip([each.contract_id for each in good], rate_usage(wanted, facts), strict=True))
    found: list[_Desired | Delta] = []
    for contract in contracts:
        each = terms[contract.id]
        if isinstance(each, InvoicingError):
            found.append(Delta(contract, error=each))
        else:
            stands = standing[contract.id], fees[contract.id], waived.get(contract.id, NOTHING)
            found.append(_desired(contract, each, usage[contract.id], *stands, as_of[contract.id]))
    errors = take_tax_out([each for each in found if isinstance(each, _Desired)])
    made = [each if isinstance(each, Delta) else _delta(each, errors.get(each.contract.pk)) for each in found]
    for delta in made:
        pk = delta.contract.pk
        if isinstance(own := terms[pk], ContractTerms):
            _add_manual(delta, own, standing[pk], manual.get(pk, ()), as_of[pk])
            if delta.error is None:
                delta.slots += concession_lines(conceded.get(pk, ()), standing[pk], delta.lines)
                delta.slots = waived.get(pk, NOTHING).taken(delta.slots, recorded_slots[pk])
    return made


def _desired(
    contract: Contract, terms: ContractTerms, usage: list[Rated] | CannotRate, standing: Standings,
    billed: list[BilledFee], waived: Waived, as_of: datetime,
) -> _Desired | Delta:  # fmt: skip
    """What a contract whose terms can be read wants; a delta with the reason where its prices cannot rate it."""
    if isinstance(usage, CannotRate):
        return Delta(contract, error=usage)
    try:
        spent = spend_slots(terms, usage, as_of)
        off = taken_off(terms, usage, spent, as_of)
        fees = fee_lines(terms, billed, as_of, waived.fees)
        due = due_on(terms, standing.values(), billed, as_of)
    except PriceError as error:
        return Delta(contract, error=CannotRate("A recurring fee", error.message))
    slots = [*usage, *(each.slot for each in spent)]
    return _Desired(contract, standing, slots, off, fees, as_of=as_of, due_on=due)


def _delta(desired: _Desired, error: InvoicingError | None) -> Delta:
    """What is wanted less what stands."""
    if error is not None:
        return Delta(desired.contract, error=error)
    lines = slot_lines(desired.slots, desired.standing, desired.as_of)
    lines += discount_lines(desired.off, desired.standing, local_date(desired.as_of, desired.contract.timezone))
    return Delta(desired.contract, fees=desired.fees, slots=lines, due_on=desired.due_on)


def _add_manual(
    delta: Delta, terms: ContractTerms, standing: Standings, manual: Sequence[Manual], as_of: datetime
) -> None:
    """What was added to the contract's draft by hand, or taken back of it."""
    if delta.error is None:
        day = local_date(as_of, terms.calendar.timezone)
        delta.slots += manual_lines(Draft(terms.contract_id, terms.currency, day, standing), manual, delta.lines)
        delta.due_on = min(filter(None, (delta.due_on, next_due(manual, day))), default=None)


def rate_usage(
    wanted: Sequence[tuple[ContractTerms, list[Wanted]]], facts: Facts = NOW
) -> list[list[Rated] | CannotRate]:
    """Ask the store what every part of every slot used, and rate each; in the order asked.

    Where a price cannot rate what it is given, the reason stands in place of the slots.
    """
    asked = [[questions(contract, slot) for slot in slots] for contract, slots in wanted]
    found = facts.answers(question for slots in asked for parts in slots for question in parts)
    return [
        _rated(contract, zip(slots, parts, strict=True), found)
        for (contract, slots), parts in zip(wanted, asked, strict=True)
    ]


def _rated(
    contract: ContractTerms, slots: Iterable[tuple[Wanted, list[Question]]], found: Mapping[Question, Answer]
) -> list[Rated] | CannotRate:
    slots_found: list[Rated] = []
    for slot, parts in slots:
        try:
            slots_found += rated(contract, slot, [found[question] for question in parts])
        except PriceError as error:
            return CannotRate(slot.parts[-1].charge.name, error.message)
    return slots_found

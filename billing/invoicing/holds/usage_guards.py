"""Guards over the usage behind the lines: what meters cannot read or do not count, and what was rated of it."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from billing.invoicing.concessions.rules import Concession
from billing.invoicing.engine import Delta
from billing.invoicing.errors import InvoicingError
from billing.invoicing.facts import Facts
from billing.invoicing.fees import BilledFee
from billing.invoicing.holds.found import Held
from billing.invoicing.holds.models import UsageTolerance
from billing.invoicing.manual.rules import Manual
from billing.invoicing.recorded import Standings
from billing.invoicing.terms import ContractTerms
from billing.invoicing.usage import QUANTITY, Answer, Question
from billing.metering.asking import Known, Quantity, Request
from billing.metering.explorer.doubts import doubtful, happened, uncounted
from billing.metering.filters import read_filters
from billing.metering.interface import events
from billing.metering.models import Meter
from billing.metering.queries import claims_of, known_now
from billing.money import plain
from billing.periods import Period
from customers.models import Contract

DEFAULT: Final = UsageTolerance(invalid_share=Decimal(1))
"""Where nobody set a tolerance: one event in a hundred may be unreadable, and what no meter counts is no matter."""
MONTH: Final = timedelta(days=31)
ADDED: Final = ("count", "sum")
"""Aggregations of which parts of a period add up to the whole, whatever the parts."""
Covers = Mapping[tuple[int, str], Known]
"""What the latest release of a contract's check lets pass: the usage that was known then."""


class Watched(Facts):
    """Facts, remembering what was asked of the usage store and what it said."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.asked = facts, dict[Question, Answer]()

    def terms(self, contracts: Sequence[Contract]) -> dict[int, ContractTerms | InvoicingError]:
        """As they are."""
        return self.facts.terms(contracts)

    def standing(self, contract_ids: Sequence[int]) -> dict[int, Standings]:
        """As they are."""
        return self.facts.standing(contract_ids)

    def fees(self, contract_ids: Sequence[int]) -> dict[int, list[BilledFee]]:
        """As they are."""
        return self.facts.fees(contract_ids)

    def manual(self, contract_ids: Sequence[int]) -> dict[int, list[Manual]]:
        """As they are."""
        return self.facts.manual(contract_ids)

    def concessions(self, contract_ids: Sequence[int]) -> dict[int, list[Concession]]:
        """As they are."""
        return self.facts.concessions(contract_ids)

    def answers(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """As they are, and remembered."""
        found = self.facts.answers(questions)
        self.asked.update(found)
        return found


@dataclass(slots=True)
class Usage:
    """Events of due usage: those that count, and those that cannot be read."""

    events: int = 0
    invalid: int = 0
    by_meter: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def unreadable(deltas: Sequence[Delta], asked: Mapping[Question, Answer], covers: Covers) -> Iterator[Held]:
    """Events of due usage that a meter cannot read, more than the seller's tolerance allows.

    A release covers what was known when the hold was made; one event beyond it holds again.
    """
    due = _due(deltas, asked)
    if not due:
        return
    questions = [question for each in due.values() for question in each]
    span = Period(min(each.period.start for each in questions), max(each.period.until for each in questions))
    suspects = doubtful(list(due), span)
    if not suspects:
        return
    firsts = list(_first(deltas, suspects & due.keys()))
    counted = _count([question for each in firsts for question in due[each.contract.customer_id]])
    limits, known = _tolerances(), known_now()
    for delta in firsts:
        contract, found = delta.contract, counted[delta.contract.customer_id]
        limit, release = _limits(limits, delta), covers.get((delta.contract.id, "unreadable"))
        over = _over(found.invalid, found.events + found.invalid, limit.invalid_events, limit.invalid_share)
        if over and found.invalid > _covered(due[contract.customer_id], release):
            meters = [f"{name}: {count:,}" for name, count in sorted(found.by_meter.items())]
            yield Held(
                contract.id, "unreadable",
                f"{found.invalid:,} of {_events(found.events + found.invalid)} cannot be read by the meters that count"
                f" them, which is {over}: correct them, or release the hold to bill without them.",
                tuple(meters), covers=_knowledge(known, found.invalid), releasable=True, amount=delta.total,
            )  # fmt: skip


def nobody_counts(deltas: Sequence[Delta], covers: Covers) -> Iterator[Held]:
    """Events of the customer's subjects in the time billed whose type no meter counts, above the tolerance."""
    limits = _tolerances()
    limited = [each for each in deltas if each.lines and _limits(limits, each).counts_uncounted]
    if not limited:
        return
    spans = {each.contract.customer_id: _span(each) for each in limited}
    whole = Period(min(each.start for each in spans.values()), max(each.until for each in spans.values()))
    rows = defaultdict(list)
    for row in uncounted(list(spans), whole):
        if spans[row.customer_id].start.date() <= row.day <= spans[row.customer_id].until.date():
            rows[row.customer_id].append(row)
    if not rows:
        return
    totals, known = happened(list(rows), whole), known_now()
    for delta in _first(limited, rows.keys()):
        contract, own, limit = delta.contract, rows[delta.contract.customer_id], _limits(limits, delta)
        count = sum(each.events for each in own)
        over = _over(count, totals.get(contract.customer_id, count), limit.uncounted_events, limit.uncounted_share)
        release = covers.get((contract.id, "uncounted"))
        fresh = [each for each in own if release is None or each.position is None or each.position > release.position]
        if over and fresh:
            types: dict[str, int] = defaultdict(int)
            for each in own:
                types[each.type] += each.events
            yield Held(
                contract.id, "uncounted",
                f"{_events(count)} are of types that no meter counts, which is {over}: make a meter for them, or"
                " release the hold to bill without them.",
                tuple(f"{name}: {n:,}" for name, n in sorted(types.items())), covers=_knowledge(known, count),
                releasable=True, amount=delta.total,
            )  # fmt: skip


def recounted(deltas: Sequence[Delta], asked: Mapping[Question, Answer]) -> Iterator[Held]:
    """What was rated by cells, windows, single events or a part of a meter, against the meter's own answer.

    A plain quantity is the meter's own answer. Two statements, and one for each meter and each part of one.
    """
    due = _due(deltas, asked)
    composed = [each for questions in due.values() for each in questions if _composed(each)]
    meters = Meter.objects.in_bulk({each.meter_id for each in composed})
    wrong: dict[int, list[str]] = defaultdict(list)
    for (meter, question), counted in _ask(meters, composed).items():
        rated = asked[question].quantity
        if rated is not None and rated != counted.value:
            wrong[question.customer_id].append(
                f"{meter.name} from {question.period.start:%Y-%m-%d}: rated {plain(rated)}, metered"
                f" {plain(counted.value)}"
            )
    for delta in _first(deltas, wrong.keys()):
        lines = wrong[delta.contract.customer_id]
        yield Held(
            delta.contract.id, "recount",
            f"What was rated differs from what the meter counts ({lines[0]}): bill the customer again, and report the"
            " difference if it stays.",
            tuple(lines), amount=delta.total,
        )  # fmt: skip


def _composed(question: Question) -> bool:
    return bool(question.need != QUANTITY or question.window or question.narrowed_by)


def _due(deltas: Sequence[Delta], asked: Mapping[Question, Answer]) -> dict[int, list[Question]]:
    """The questions behind lines of usage that are to be drafted, by customer: not those of cycles long billed."""
    stretches: dict[int, set[Period]] = defaultdict(set)
    for delta in deltas:
        stretches[delta.contract.customer_id] |= {each.service for each in delta.slots if each.kind == "usage"}
    due: dict[int, list[Question]] = defaultdict(list)
    for question in asked:
        mine = stretches.get(question.customer_id, ())
        if question.period in mine or any(
            each.start <= question.period.start and question.period.until <= each.until for each in mine
        ):
            due[question.customer_id].append(question)
    return dict(due)


def _count(questions: Iterable[Question]) -> dict[int, Usage]:
    """The events of questions by customer; each stretch of a meter once, whatever charges count with it."""
    found: dict[int, Usage] = defaultdict(Usage)
    for (meter, question), counted in _ask(*_alone(questions)).items():
        usage = found[question.customer_id]
        usage.events += counted.events
        usage.invalid += counted.invalid
        if counted.invalid:
            usage.by_meter[meter.name] += counted.invalid
    return found


def _covered(questions: Iterable[Question], release: Known | None) -> int:
    """How many of a customer's unreadable events were known when the hold was made that was released."""
    if release is None:
        return 0
    meters, alone = _alone(questions)
    then = {pk: meter.as_known(release) for pk, meter in meters.items()}
    return sum(counted.invalid for counted in _ask(then, alone).values())


def _alone(questions: Iterable[Question]) -> tuple[dict[int, Meter], list[Question]]:
    """The meters, and what to ask of each as a whole."""
    whole = {
        (each.customer_id, each.meter_id, each.period): Question(
            each.customer_id, each.meter_id, each.period, each.full, each.timezone
        )
        for each in questions
    }
    return Meter.objects.in_bulk({meter for _, meter, _ in whole}), list(whole.values())


def _ask(meters: Mapping[int, Meter], questions: Sequence[Question]) -> dict[tuple[Meter, Question], Quantity]:
    """The meter's own answer to each question, by meter and question; one statement a meter and a part of one."""
    claims = claims_of({each.customer_id for each in questions}) if questions else {}
    groups: dict[tuple[int, str], list[Question]] = defaultdict(list)
    for each in questions:
        if meters[each.meter_id].aggregation in ADDED or not _composed(each):
            groups[each.meter_id, each.narrowed_by].append(each)
    found: dict[tuple[Meter, Question], Quantity] = {}
    for (meter_id, narrowed_by), group in groups.items():
        meter = meters[meter_id]
        filters = read_filters(json.loads(narrowed_by, parse_float=Decimal), "narrowed_by") if narrowed_by else ()
        requests = [
            Request(place, claims[each.customer_id], each.period, each.full, each.timezone)
            for place, each in enumerate(group)
        ]
        answers = events.quantities(meter.narrowed(filters) if filters else meter, requests)
        found |= {(meter, each): answers.get(place, Quantity()) for place, each in enumerate(group)}
    return found


def _first(deltas: Sequence[Delta], customers: Collection[int]) -> Iterator[Delta]:
    """The first contract with lines of each of these customers: a hold of one holds them all."""
    seen = set()
    for delta in deltas:
        customer = delta.contract.customer_id
        if customer in customers and customer not in seen and delta.lines:
            seen.add(customer)
            yield delta


def _span(delta: Delta) -> Period:
    """The time that a draft bills usage of; a month before its fees where it has no usage."""
    used = [each.service for each in delta.slots if each.kind == "usage"]
    if used:
        return Period(min(each.start for each in used), max(each.until for each in used))
    start = min(each.service.start for each in delta.lines)
    return Period(start - MONTH, start)


def _tolerances() -> dict[int | None, UsageTolerance]:
    """The tolerance of each legal entity that has its own, and under None that of the others. One query."""
    return {None: DEFAULT} | {each.entity_id: each for each in UsageTolerance.objects.all()}


def _limits(limits: Mapping[int | None, UsageTolerance], delta: Delta) -> UsageTolerance:
    return limits.get(delta.contract.entity_id, limits[None])


def _over(count: int, of: int, most: int | None, share: Decimal | None) -> str:
    """Which limit so many events of so many exceed, in words; "" when none."""
    if most is not None and count > most:
        return f"more than the {most:,} that are let pass"
    if share is not None and count * 100 > share * of:
        return f"more than the {plain(share)} % that are let pass"
    return ""


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"


def _knowledge(known: Known, count: int) -> dict[str, Any]:
    return {"position": known.position, "pending": sorted(known.pending), "events": count}

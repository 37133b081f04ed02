"""One chunk of a move’s work: judge and rate, write dates, take them back. The caller holds the move and saves it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet

from billing.catalog.models import PlanVersion, SubscriptionInterval
from billing.catalog.states import is_open
from billing.catalog.terms.models import SubscriptionTerm
from billing.moves.choosing import Known, candidates, know, target_of
from billing.moves.criteria import Criteria
from billing.moves.effects import Effect, effects
from billing.moves.fitting import misfits
from billing.moves.judging import Verdict, changed, judge
from billing.moves.models import Move, MovedSubscription
from billing.moves.splicing import earlier_change, in_force, take_out
from billing.moves.states import Outcome
from billing.moves.writing import Change, end_terms, recording, revive_terms, taking_back, write
from customers.locks import lock_customers
from customers.models import Customer

CHUNK: Final = 200


def preview(move: Move, now: datetime) -> bool:
    """Say for the next subscriptions when each would move and what that would change, or why not; False at the end."""
    criteria = Criteria.from_json(move.choice)
    found = candidates(move.target, criteria, move.as_of).filter(pk__gt=move.position)
    people = list(found.select_related("contract__customer").order_by("pk")[:CHUNK])
    if not people:
        return False
    target = target_of(move.target)
    known = know(people, target, besides=move.pk, listed=criteria.without)
    verdicts = {
        each.pk: judge(known.facts[each.pk], criteria, target.id, known.names, move.as_of) for each in people
    }  # fmt: skip
    ending = criteria.own_terms == "end"
    times = [(each, at) for each in people if (at := verdicts[each.pk].at) is not None]
    for pk, why in misfits(known, times, move.target, own_terms_end=ending).items():
        verdicts[pk] = Verdict(code="misfit", note=why)
    going = [(each, version) for each in people if (version := verdicts[each.pk].version) is not None]
    told = effects(going, move.target, move.as_of, own_terms_end=ending) if going else {}
    MovedSubscription.objects.bulk_create(
        [_row(move, each.pk, verdicts[each.pk], known, told.get(each.pk, Effect())) for each in people]
    )
    move.position, move.done = people[-1].pk, move.done + len(people)
    return True


def _row(move: Move, pk: int, verdict: Verdict, known: Known, effect: Effect) -> MovedSubscription:
    facts = known.facts[pk]
    return MovedSubscription(
        move=move, subscription_id=pk, currency=facts.currency, from_version_id=verdict.version, at=verdict.at,
        outcome=Outcome.LEFT_OUT if verdict.code else Outcome.PLANNED, code=verdict.code, note=verdict.note,
        before=effect.before, after=effect.after, change=effect.change, percent=effect.percent, problem=effect.problem,
        effect={"cycles": effect.cycles, "charges": effect.charges} if effect.charges else {},
        own_terms=verdict.at is not None and facts.own_at(verdict.at),
    )  # fmt: skip


def unmatched(move: Move) -> list[str]:
    """The ids of the list of those to move that the move has no subscription of, in the list's order."""
    only = Criteria.from_json(move.choice).only
    there = Customer.objects.filter(contracts__subscriptions__moves__move=move).values_list("external_id", flat=True)
    found = set(there) if only else set()
    return [each for each in only if each not in found]


def held_rows(move: Move) -> QuerySet[MovedSubscription]:
    """The move's rows with what writing needs of them."""
    return MovedSubscription.objects.filter(move=move).select_related("subscription__contract__customer")


def schedule(move: Move, now: datetime) -> bool:
    """Write the dates of the next subscriptions; False at the end. What a person changed since then is respected."""
    rows = list(held_rows(move).filter(outcome=Outcome.PLANNED).order_by("pk")[:CHUNK])
    if not rows:
        return False
    known = _locked(move, rows)
    ending = Criteria.from_json(move.choice).own_terms == "end"
    open_ = is_open(PlanVersion.objects.values_list("state", flat=True).get(pk=move.target_id))
    times = [(row.subscription, row.at) for row in rows if row.at is not None]
    unfit = misfits(known, times, move.target, own_terms_end=ending)
    staying: list[MovedSubscription] = []
    for row in rows:
        facts = known.facts[row.subscription_id]
        assert row.at is not None  # a planned row has its time and version
        assert row.from_version_id is not None
        code, note = changed(facts, row.at, row.from_version_id, move.target_id, known.names)
        if not code and row.subscription_id in unfit:
            code, note = "misfit", unfit[row.subscription_id]
        if not open_:
            code, note = "closed", f"{move.target} takes no new subscribers any more."
        if code:
            row.outcome, row.code, row.note = Outcome.REFUSED, code, note
            continue
        row.outcome, row.earlier_id = Outcome.SCHEDULED, earlier_change(facts.rows, row.at)
        staying.append(row)
    user_id, reason = move.scheduled_by_id, f"{move}: {move.reason}"
    going = recording(staying, move.target_id, now, user_id=user_id, reason=reason) if staying else []
    for change in going if ending else ():
        assert change.row.at is not None
        end_terms(change, known.own.of(change.row.subscription_id), change.row.at, now)
    _write(move, going, Outcome.REFUSED, now)
    _save(rows)
    move.done += len(rows)
    return True


def cancel(move: Move, now: datetime) -> bool:
    """Take back the dates of the next subscriptions that lie ahead; False at the end."""
    open_ = held_rows(move).filter(outcome__in=[Outcome.PLANNED, Outcome.SCHEDULED], pk__gt=move.position)
    rows = list(open_.order_by("pk")[:CHUNK])
    if not rows:
        return False
    ahead = [row for row in rows if row.outcome == Outcome.SCHEDULED and row.at and row.at > now]
    if ahead:
        take_back(move, ahead, now)
    never = [row for row in rows if row.outcome == Outcome.PLANNED]
    for row in never:
        row.outcome, row.note = Outcome.CANCELLED, "Cancelled before it was scheduled."
    _save(never)
    move.position, move.done = rows[-1].pk, move.done + len(ahead) + len(never)
    return True


def take_back(move: Move, rows: Sequence[MovedSubscription], now: datetime) -> None:
    """Let what stood before go on for scheduled rows whose time has not come."""
    known = _locked(move, rows)
    were = SubscriptionInterval.objects.in_bulk([pk for row in rows for pk in row.old])
    changes = taking_back(rows, move.target_id, now)
    terms = SubscriptionTerm.objects.in_bulk([pk for row in rows for pk in row.old_terms])
    going: list[Change] = []
    for row in rows:
        row.outcome = Outcome.CANCELLED
        goes_on = _goes_on(move, row, known, [were[pk] for pk in row.old])
        change = changes.get(row.pk)
        if change is None or row.outcome == Outcome.SCHEDULED:
            continue
        if not goes_on:
            going.append(change)
            continue
        ended = [terms[pk] for pk in row.old_terms]
        if not revive_terms(change, known.own.of(row.subscription_id), ended, now):
            row.note = f"{row.note} Its own terms were changed since, and stay so.".strip()
        going.append(change)
    _write(move, going, Outcome.SCHEDULED, now)
    _save(rows)


def _goes_on(move: Move, row: MovedSubscription, known: Known, were: Sequence[SubscriptionInterval]) -> bool:
    """Whether what stood before goes on at once; where somebody has put it elsewhere since, a note on it says so."""
    facts, at = known.facts[row.subscription_id], row.at
    assert at is not None  # it was scheduled
    splice = take_out(facts.rows, at, move.target_id, row.earlier_id, facts.stops)
    if splice is None and at in facts.stops:
        row.outcome = Outcome.SCHEDULED
        row.note = "Another move of the same day stands on it: cancel that one first, then this."
        return False
    if splice is None:
        then = in_force(facts.rows, at)
        binds = f"It is on {known.names[then.version]} then" if then else "It is not in force then"
        row.note = f"Somebody changed it since. {binds}, and that stays."
        return False
    same = all(pk in known.intervals for pk in row.new) and splice.new[-1][0].version == were[-1].version_id
    row.note = "" if same else "It was changed since, and what others changed stays."
    return True


def _locked(move: Move, rows: Sequence[MovedSubscription]) -> Known:
    """What is known of the rows' subscriptions while their customers are locked."""
    people = [row.subscription for row in rows]
    lock_customers([each.contract.customer_id for each in people])
    return know(people, target_of(move.target), besides=move.pk)


def _write(move: Move, going: Sequence[Change], otherwise: Outcome, now: datetime) -> None:
    """Write what changes, and remember on each row what it was and is; the refused get the outcome `otherwise`."""
    scheduling = otherwise == Outcome.REFUSED
    user_id = move.scheduled_by_id if scheduling else move.cancelled_by_id
    cancelled = f"{move} is taken back: {move.cancel_reason}".rstrip(": ")
    reason = f"{move}: {move.reason}" if scheduling else cancelled
    refused = write(going, now, user_id=user_id, reason=reason) if going else {}
    for change in going:
        row: Any = change.row
        if row.pk in refused:
            row.outcome, row.code, row.note = otherwise, "database", refused[row.pk]
        elif scheduling:
            row.old, row.new = [each.pk for each in change.old], [each.pk for each in change.new]
            row.old_terms = [each.pk for each in change.old_terms]
            row.new_terms = [each.pk for each in change.new_terms]


def _save(rows: Sequence[MovedSubscription]) -> None:
    names = ["outcome", "code", "note", "old", "new", "old_terms", "new_terms", "earlier"]
    MovedSubscription.objects.bulk_update(rows, names, batch_size=CHUNK)

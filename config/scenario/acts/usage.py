"""Steps about usage: events that arrive, corrections, claims on subjects, meters."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec

from billing.metering.corrections import services as corrections
from billing.metering.corrections.criteria import read_changes, read_criteria
from billing.metering.exact_json import dumps
from billing.metering.meters.services import revise_meter
from billing.metering.models import Meter
from billing.metering.services import ingest
from billing.metering.validate import NewEvent
from billing.periods import local_date, local_midnight
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.reading import Reading
from config.scenario.sections import METER, REASON, named, of
from config.scenario.setup import WHY, make_meter, remember
from config.scenario.shapes import Anything, Key, ListOf, Moment, Obj, Text, Whole, may, needs
from config.scenario.world import Answer, Args, World, meter_of
from customers.models import UsageSubject
from customers.services import claim_subject, date_claim

SOURCE: Final = "scenario"
MOST: Final = 100_000
EVERY: Final = r"^P([1-9]\d*[DW]|T[1-9]\d*[HMS])$"
_SECONDS: Final = {"D": 86_400, "W": 604_800, "H": 3_600, "M": 60, "S": 1}


def _check_times(usage: Args, path: str, reading: Reading) -> None:
    many = [key for key in ("every", "count") if key in usage]
    if len(many) == 2:
        reading.wrong(path, "Write every or count, not both.")
    for key in ("from", "to"):
        if many and key not in usage:
            reading.wrong(f"{path}.{key}", "This is missing: many events lie between from and to.")
        if not many and key in usage:
            reading.wrong(f"{path}.{key}", "One event has a time; for many of them write every or count too.")
    for key in ("time", "id"):
        if many and key in usage:
            reading.wrong(f"{path}.{key}", "Many events have times and ids of their own; leave this out.")


USAGE: Final = Obj("usage", {
    "customer": may(Text(refers="customer"), "whose first subject it carries; default the only one"),
    "subject": may(Text(), "the subject that the events carry, in place of a customer"),
    "type": may(Text(), "the type of event; default that of the only meter"),
    "time": may(Moment(), "of one event; default the step’s"),
    "every": may(Text(10, EVERY, "P1D or PT1H"), "many events, so far apart, from `from` until before `to`"),
    "count": may(Whole(1, MOST), "many events, so many, evenly from `from` until before `to`"),
    "from": may(Moment()), "to": may(Moment(), "exclusive"),
    "data": may(Anything(), "the properties of each event"),
    "id": may(Text(200), "default one of its own"), "source": may(Text(200), "default scenario"),
    "backfill": may(Text(100), "a name by which all of it can be taken back"),
}, _check_times)  # fmt: skip


def _use(world: World, given: list[Args]) -> Answer:
    """Ingest what arrives now; rejected and contradicting events are told, the others are kept."""
    done = {"accepted": 0, "duplicates": 0}
    problems: list[dict[str, Any]] = []
    for place, each in enumerate(given):
        events = list(_events(world, each, f"{world.place}.usage[{place}]"))
        report = ingest(events=events, origin="scenario", now=world.now, backfill_id=_backfill(world, each))
        done["accepted"] += report.accepted
        done["duplicates"] += report.duplicates
        problems += [{"code": one.code, "message": one.message} for one in (*report.conflicts, *report.rejected)]
    answer: Answer = done | {"refused": problems}
    return answer | ({"error": " ".join(each["message"] for each in problems)} if problems else {})


def _events(world: World, given: Args, place: str) -> Iterator[NewEvent]:
    data = msgspec.Raw(dumps(given.get("data", {})).encode())
    kind, subject, source = _type(given), _subject(world, given), given.get("source", SOURCE)
    for number, time in enumerate(_times(world, given)):
        yield NewEvent(given.get("id", f"{place}/{number}"), kind, subject, time, source, data)


def _times(world: World, given: Args) -> Iterator[datetime]:
    if "every" not in given and "count" not in given:
        yield world.instant(given["time"]) if "time" in given else world.now
        return
    start, end = world.instant(given["from"]), world.instant(given["to"])
    if "count" in given:
        yield from (start + (end - start) * place / given["count"] for place in range(given["count"]))
        return
    number, unit = int(given["every"].strip("PTDWHMS")), given["every"][-1]
    if (end - start).total_seconds() / (number * _SECONDS[unit]) > MOST:
        raise Refused(f"These are more than {MOST:,} events: let fewer stand for them.")
    yield from _local(world, start, end, number * _SECONDS[unit], days=unit in "DW")


def _local(world: World, start: datetime, end: datetime, seconds: int, *, days: bool) -> Iterator[datetime]:
    """Instants so far apart; whole days are days of the scenario's zone, and keep the hour over a change of clocks."""
    time, place = start, 0
    day = local_date(start, world.zone)
    since = start - local_midnight(day, world.zone)
    while time < end:
        yield time
        place += 1
        if days:
            time = local_midnight(day + timedelta(seconds=seconds) * place, world.zone) + since
        else:
            time = start + timedelta(seconds=seconds) * place


def _type(given: Args) -> str:
    if "type" in given:
        return str(given["type"])
    kinds = sorted(set(Meter.objects.current().values_list("event_type", flat=True)))
    if len(kinds) != 1:
        raise Refused(f"Say of which type the events are: the meters count {', '.join(kinds) or 'none'}.")
    return kinds[0]


def _subject(world: World, given: Args) -> str:
    if "subject" in given:
        return str(given["subject"])
    customer = world.customer(given)
    claim = UsageSubject.objects.filter(customer=customer).order_by("id").first()
    if claim is None:
        raise Refused(f"{customer} claims no subject: say which one the events carry.")
    return claim.subject


def _backfill(world: World, given: Args) -> int | None:
    if "backfill" not in given:
        return None
    key = "backfill", given["backfill"]
    if key not in world.named:
        world.named[key] = corrections.make_backfill(name=given["backfill"], reason=WHY, user=None, now=world.now)
    found: int = world.named[key].pk
    return found


_WHICH: Final[dict[str, Key]] = {
    "ids": may(ListOf(Text(200)), "of events"), "source": may(Text(200), "of the ids; default scenario"),
    "subject": may(Text()), "type": may(Text()), "from": may(Moment()), "to": may(Moment(), "exclusive"),
    "filters": may(Anything(), "what an event must be like"), "reason": REASON,
    "name": may(named("correction"), "by which it can be undone"),
}  # fmt: skip
_VOID: Final = Obj("a void", _WHICH)
_REPLACE: Final = Obj("a replacement", {
    **_WHICH,
    "set": needs(Obj("what a replacement changes", {
        "subject": may(Text()), "type": may(Text()), "time": may(Moment()),
        "data": may(Anything(), "properties; null removes one"),
    })),
})  # fmt: skip
CORRECTED: Final = {"events": may(Whole(0, 10**9), "how many events it concerned")}


def _criteria(world: World, given: Args) -> Any:
    found: Args = {key: given[key] for key in ("ids", "subject", "type", "filters") if key in given}
    if "ids" in given:
        found["source"] = given.get("source", SOURCE)
    elif "source" in given:
        found["source"] = given["source"]
    for key, name in (("from", "start"), ("to", "end")):
        if key in given:
            found[name] = world.instant(given[key]).isoformat()
    return read_criteria(found)


def _void(world: World, given: Args) -> Answer:
    done = corrections.void(criteria=_criteria(world, given), reason=given.get("reason", WHY), user=None, now=world.now)
    remember(world, "correction", given, done)
    return {"events": done.events}


def _replace(world: World, given: Args) -> Answer:
    changes = dict(given["set"])
    if isinstance(changes.get("time"), date):
        changes["time"] = world.instant(changes["time"]).isoformat()
    done = corrections.replace(
        criteria=_criteria(world, given), changes=read_changes(changes), reason=given.get("reason", WHY), user=None,
        now=world.now,
    )  # fmt: skip
    remember(world, "correction", given, done)
    return {"events": done.events}


def _undo(world: World, given: Args) -> Answer:
    one = world.named["correction", given["correction"]]
    done = corrections.undo(correction=one, reason=given.get("reason", WHY), user=None, now=world.now)
    return {"events": done.events}


def _revert(world: World, given: Args) -> Answer:
    backfill = world.named.get(("backfill", given["backfill"]))
    if backfill is None:
        raise Refused(f"There is no backfill “{given['backfill']}” up to here.")
    done = corrections.revert(backfill=backfill, reason=given.get("reason", WHY), user=None, now=world.now)
    return {"events": done.events}


def _claim(world: World, given: Args) -> Answer:
    """A new claim, or other bounds of the one that the customer has on this subject."""
    customer = world.customer(given)
    bounds = {name: world.instant(given[key]) if given.get(key) else None for key, name in
              (("from", "valid_from"), ("to", "valid_to"))}  # fmt: skip
    known = UsageSubject.objects.filter(customer=customer, subject=given["subject"]).order_by("-id").first()
    if known is None:
        claim_subject(customer=customer, subject=given["subject"], **bounds)
    else:
        kept = {"valid_from": known.valid_from, "valid_to": known.valid_to}
        said = {name: bounds[name] for key, name in (("from", "valid_from"), ("to", "valid_to")) if key in given}
        date_claim(claim=known, **(kept | said))
    return {}


def _meter(world: World, given: Args) -> Answer:
    """A new meter, or what is said of a known one changed: in place, or as its next version."""
    if not Meter.objects.filter(code=given["code"]).exists():
        make_meter(world, given)
        return {"version": 1}
    changes = {key: value for key, value in given.items() if key != "code"}
    return {"version": revise_meter(meter=meter_of(given["code"]), changes=changes, now=world.now).version}


_METER: Final = Obj("a meter", {**METER.keys, "code": needs(Text(60))}, METER.then)

ACTIONS: Final = [
    Action("usage", "Usage events arrive: one, a list, or many by a generator.", ListOf(USAGE, single=True), _use, {
        "accepted": may(Whole(0, 10**9)), "duplicates": may(Whole(0, 10**9)),
        "refused": may(ListOf(Obj("what is not stored", {"code": may(Text()), "message": may(Text())}))),
    }),
    Action("void", "Events do not count: by ids, or by a period with more.", _VOID, _void, CORRECTED),
    Action("replace", "Something else counts instead of events.", _REPLACE, _replace, CORRECTED),
    Action("undo_correction", "A correction is taken back.", Obj("what is undone", {
        "correction": needs(Text(refers="correction"), "its name"), "reason": REASON,
    }), _undo, CORRECTED),
    Action("revert", "A backfill is taken back as a whole.", Obj("what is reverted", {
        "backfill": needs(Text(), "its name"), "reason": REASON,
    }), _revert, CORRECTED),
    Action("claim", "A customer claims a subject, or its claim gets other bounds.", Obj("a claim", {
        "customer": of("customer"), "subject": needs(Text()),
        "from": may(Moment(null=True), "null: since ever"), "to": may(Moment(null=True), "exclusive; null: for ever"),
    }), _claim),
    Action("meter", "A meter is made, or changed: its next version where prices count with it.", _METER, _meter, {
        "version": may(Whole(1, 10**9)),
    }),
]  # fmt: skip

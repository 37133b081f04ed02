"""Steps about time that is not as usual: trials, pauses, renewals."""

from datetime import datetime
from typing import Final

from billing.catalog.free import services as free
from billing.catalog.free.models import SubscriptionFreeTime
from billing.catalog.renewals.services import due, give_notice, renew, renew_due
from config.scenario.actions import Action
from config.scenario.sections import REASON, named, of
from config.scenario.setup import WHY, remember
from config.scenario.shapes import Flag, Moment, Number, Obj, Text, may, needs
from config.scenario.world import Answer, Args, World


def renew_what_is_due(world: World, now: datetime) -> None:
    """Renew the scenario's contracts that renew by themselves, as the worker does every day."""
    mine = {each.pk for each in world.contracts.values()}
    renew_due(contract_ids=[key for key in due(now=now) if key in mine], now=now)


def _trial(world: World, given: Args) -> Answer:
    begin: Args = {"start": given["from"]} if "from" in given else {}
    row = free.start_trial(
        subscription=world.subscription(given), end=given["until"], usage_free=given.get("usage_free", False),
        reason=given.get("reason", WHY), user=None, now=world.now, **begin,
    )  # fmt: skip
    remember(world, "free time", given, row)
    return {}


def _pause(world: World, given: Args) -> Answer:
    row = free.pause(
        subscription=world.subscription(given), start=given.get("from", world.today()), end=given.get("until"),
        keep_fee=given.get("keep_fee", False), usage_free=given.get("usage_free", False),
        reason=given.get("reason", WHY), user=None, now=world.now,
    )  # fmt: skip
    remember(world, "free time", given, row)
    return {}


def _free(world: World, given: Args) -> SubscriptionFreeTime:
    """What is named, or what became of it."""
    found: SubscriptionFreeTime = world.named["free time", given["name"]]
    while after := found.replaced_by.order_by("-id").first():
        found = after
    return found


def _end(world: World, given: Args) -> Answer:
    free.end_free_time(
        free=_free(world, given), at=given["until"], reason=given.get("reason", WHY), user=None, now=world.now
    )
    return {}


def _undo(world: World, given: Args) -> Answer:
    free.undo_free_time(free=_free(world, given), reason=given.get("reason", WHY), user=None, now=world.now)
    return {}


def _renew(world: World, given: Args) -> Answer:
    uplift: Args = {"uplift": given["uplift"]} if "uplift" in given else {}
    renew(contract=world.contract(given), end=given.get("until"), user=None, now=world.now, **uplift)
    return {}


def _notice(world: World, given: Args) -> Answer:
    give_notice(contract=world.contract(given), on=given["on"] if "on" in given else world.today())
    return {}


_NAMED: Final = may(named("free time"), "by which later steps find it")
_WHICH: Final = needs(Text(refers="free time"), "that of the trial or the pause")

ACTIONS: Final = [
    Action("trial", "A subscription costs no fee at first; once per customer and product.", Obj("a trial", {
        "subscription": of("subscription"), "from": may(Moment(), "default the subscription’s start"),
        "until": needs(Moment(), "exclusive"), "usage_free": may(Flag(), "usage too; default false"),
        "reason": REASON, "name": _NAMED,
    }), _trial),
    Action("pause", "A subscription rests.", Obj("a pause", {
        "subscription": of("subscription"), "from": may(Moment(), "default the step’s day"),
        "until": may(Moment(), "exclusive; default until it is ended"),
        "keep_fee": may(Flag(), "the fee is charged all the same; default false"),
        "usage_free": may(Flag(), "usage is not charged; default false"), "reason": REASON, "name": _NAMED,
    }), _pause),
    Action("end_free_time", "A trial or a pause ends on another day than it was to.", Obj("an end", {
        "name": _WHICH, "until": needs(Moment(), "exclusive"), "reason": REASON,
    }), _end),
    Action("undo_free_time", "A trial or a pause as if it had never been.", Obj("what is undone", {
        "name": _WHICH, "reason": REASON,
    }), _undo),
    Action("renew", "A contract goes on after its end.", Obj("a renewal", {
        "contract": of("contract"), "until": may(Moment(days=True), "the day after the new last one; default open"),
        "uplift": may(Number(), "in per cent"),
    }), _renew),
    Action("give_notice", "A contract ends as agreed and does not renew by itself.", Obj("a notice", {
        "contract": of("contract"), "on": may(Moment(days=True, null=True), "default today; null takes it back"),
    }), _notice),
]  # fmt: skip

"""Steps about plans and their versions, custom units, and subscribers that are moved."""

from typing import Any, Final
from uuid import UUID, uuid5

from billing.catalog import publication
from billing.catalog.models import PlanVersion
from billing.catalog.plan_files import import_plan
from billing.catalog.plan_values import PlanFile
from billing.catalog.units.models import CustomUnit
from billing.moves import services as moves
from billing.moves.criteria import Criteria
from billing.moves.models import Move
from billing.moves.timing import KINDS, When
from billing.periods import Period
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.sections import PLAN, RATE, REASON, named
from config.scenario.setup import WHY, make_plan, make_rate, remember
from config.scenario.shapes import Choice, Either, ListOf, Moment, Number, Obj, Part, Text, Whole, may, needs
from config.scenario.showing import service
from config.scenario.world import Answer, Args, World, version_of

_SPACE: Final = UUID("6f1d0a5e-3d0c-4f6e-9a61-6f6d65746572")
VERSION: Final = {"plan": needs(Text(60, refers="plan")), "version": may(Whole(1, 2147483647), "default the latest")}


def _version(given: Args) -> PlanVersion:
    found = version_of(given)
    assert found is not None  # a plan is named
    return found


def _publish(world: World, given: PlanFile) -> Answer:
    version = make_plan(world, given)
    return {"plan": version.plan.code, "version": version.number}


def _publish_later(world: World, given: Args) -> Answer:
    """It is published by itself at its time: each step looks first at what is due."""
    version = import_plan(given["plan"])
    publication.schedule(
        version=version, at=world.instant(given["on"]), zone=world.zone, user=None, now=world.now, reason=WHY
    )
    return {"plan": version.plan.code, "version": version.number}


def _retire(world: World, given: Args) -> Answer:
    publication.retire(version=_version(given), user=None, now=world.now)
    return {}


def _rate(world: World, given: Args) -> Answer:
    unit = CustomUnit.objects.filter(code=given["unit"]).first()
    if unit is None:
        raise Refused(f"There is no custom unit “{given['unit']}”.")
    make_rate(unit, {key: value for key, value in given.items() if key != "unit"})
    return {}


def _move(world: World, given: Args) -> Answer:
    """Draft a move, compute its effect and schedule it, as the worker would."""
    target = _version(given)
    sources = PlanVersion.objects.filter(plan__product=target.plan.product_id).exclude(pk=target.pk)
    if "from" in given:
        wanted = [_version(each if isinstance(each, dict) else {"plan": each}).pk for each in given["from"]]
        sources = sources.filter(pk__in=wanted)
    else:
        sources = sources.exclude(state="draft")
    when = When(given["when"], given.get("day"))
    criteria = Criteria(
        versions=tuple(sources.order_by("id").values_list("id", flat=True)), when=when,
        only=tuple(given.get("customers", world.customers)), without=tuple(given.get("without", ())),
        own_terms=given.get("own_terms", "keep"),
    )  # fmt: skip
    token = uuid5(_SPACE, world.place)
    move = moves.draft(token=token, target=target, criteria=criteria, user=None, queue=_ignored, now=world.now)
    _work(move, world)
    moves.schedule(move=move, reason=given.get("reason", WHY), user=None, queue=_ignored, now=world.now)
    _work(move, world)
    remember(world, "move", given, move)
    return {"moved": _moved(move)}


def _cancel(world: World, given: Args) -> Answer:
    move: Move = world.named["move", given["move"]]
    moves.cancel(move=move, reason=given.get("reason", WHY), user=None, queue=_ignored, now=world.now)
    _work(move, world)
    return {"moved": _moved(move)}


def _ignored(move_id: int) -> None:
    """The step does the work itself."""


def _work(move: Move, world: World) -> None:
    while moves.step(move_id=move.pk, now=world.now):
        continue


def _moved(move: Move) -> list[dict[str, Any]]:
    rows = move.rows.select_related("subscription__contract", "from_version__plan").order_by("subscription_id")
    return [
        {
            "subscription": f"{row.subscription.contract.number}/{row.subscription.code}", "outcome": row.outcome,
            "at": service(Period(row.at, None), row.subscription.contract.timezone)[0] if row.at else None,
            "note": row.note,
            "before": _money(row.before), "after": _money(row.after), "change": _money(row.change),
        }
        for row in rows
    ]  # fmt: skip


def _money(amount: Any) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


MOVED: Final = {"moved": may(ListOf(Obj("a moved subscription", {
    "subscription": may(Text()), "outcome": may(Choice(("planned", "scheduled", "left_out", "refused", "cancelled"))),
    "at": may(Moment(null=True), "from when"), "note": may(Part()),
    "before": may(Number(null=True)), "after": may(Number(null=True)), "change": may(Number(null=True)),
})))}  # fmt: skip

ACTIONS: Final = [
    Action("publish", "A version of a plan is published.", PLAN, _publish, {
        "plan": may(Text()), "version": may(Whole(1, 2147483647)),
    }),
    Action("publish_later", "A version of a plan publishes itself at a time.", Obj("a planned publication", {
        "plan": needs(PLAN), "on": needs(Moment(), "when"),
    }), _publish_later, {"plan": may(Text()), "version": may(Whole(1, 2147483647))}),
    Action("retire", "A version takes no new subscriptions any more.", Obj("a version", VERSION), _retire),
    Action("unit_rate", "What a custom unit is worth from a day on.", Obj("a rate of a unit", {
        "unit": needs(Text(refers="unit")), **RATE.keys,
    }), _rate),
    Action("move", "Subscribers are moved to another version of their product.", Obj("a move", {
        **VERSION,
        "from": may(ListOf(Either(Text(60, refers="plan"), Obj("a version", VERSION))), "default all other versions"),
        "when": needs(Choice(KINDS), "on a day, at each contract’s renewal, or at its next period"),
        "day": may(Moment(days=True), "the day, or the day before which nobody moves"),
        "customers": may(ListOf(Text(refers="customer")), "default all of the scenario"),
        "without": may(ListOf(Text(refers="customer"))),
        "own_terms": may(Choice(("keep", "end", "leave_out")), "of customers who have some; default keep"),
        "reason": REASON, "name": may(named("move"), "by which it can be cancelled"),
    }), _move, MOVED),
    Action("cancel_move", "What of a move has not taken effect is taken back.", Obj("what is cancelled", {
        "move": needs(Text(refers="move")), "reason": REASON,
    }), _cancel, MOVED),
]  # fmt: skip

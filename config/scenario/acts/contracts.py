"""Steps about contracts: sign one, subscribe, change, end, and customers' own terms."""

from typing import Any, Final

from billing.catalog.changes.checking import period_end
from billing.catalog.changes.direction import increase_now
from billing.catalog.changes.options import ALLOWED, Options
from billing.catalog.changes.services import undo_change
from billing.catalog.models import Charge
from billing.catalog.services import change_subscription, end_subscription
from billing.catalog.terms import services as terms
from billing.catalog.terms.dates import calendar_of
from billing.metering.models import Meter
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.reading import Reading
from config.scenario.sections import (
    CHARGE_KEYS,
    CONTRACT,
    CUSTOMER,
    RAMP_KEYS,
    REASON,
    SUBSCRIPTION_KEYS,
    TERM_KEYS,
    named,
    of,
)
from config.scenario.sections import check_value as check
from config.scenario.setup import WHY, make_contract, make_customer, make_subscription, make_term, remember
from config.scenario.shapes import Anything, Choice, Moment, Number, Obj, Text, Whole, may, needs
from config.scenario.world import Answer, Args, World, meter_of, version_of
from customers.models import Customer
from customers.services import set_payer, undo_payer

SUBSCRIPTION: Final = of("subscription")


def _defined(given: Args, path: str, reading: Reading) -> None:
    """A subscription of a step is known from there on by its contract's number and its code."""
    numbers = reading.names.get("contract", [])
    number = given.get("contract") or (numbers[0] if len(numbers) == 1 else None)
    if number:
        reading.define("subscription", f"{number}/{given.get('code') or 'main'}", path)


def _sign(world: World, given: Args) -> Answer:
    make_contract(world, given)
    return {}


def _customer(world: World, given: Args) -> Answer:
    make_customer(world, given)
    return {}


def _payer(world: World, given: Args) -> Answer:
    contract = world.contract(given) if "contract" in given else None
    if contract is None and "customer" not in given:
        raise Refused("Say for whom: a customer, or one contract.")
    owner: Customer = contract.customer if contract else world.customers[given["customer"]]
    fact = set_payer(
        customer=owner, payer=world.customers[given["payer"]], contract=contract, now=world.now,
        start=given.get("from", world.today()), reason=given.get("reason", ""),
    )  # fmt: skip
    remember(world, "payer", given, fact)
    return {}


def _undo_payer(world: World, given: Args) -> Answer:
    undo_payer(fact=world.named["payer", given["name"]], now=world.now)
    return {}


def _subscribe(world: World, given: Args) -> Answer:
    make_subscription(world, world.contract(given), given)
    return {}


def _options(given: Args) -> Options:
    return Options(**{key: given[key] for key in ALLOWED if key in given})


def _change(world: World, given: Args) -> Answer:
    subscription, version, quantity = world.subscription(given), version_of(given), given.get("quantity")
    at = given.get("from", world.today())
    if given.get("when") == "period_end":
        at = period_end(calendar_of(subscription.contract), world.now)
    elif given.get("when") == "increase_now":
        at = increase_now(subscription, version, quantity, world.now)
    change = change_subscription(
        subscription=subscription, at=at, now=world.now, version=version, quantity=quantity, options=_options(given),
        reason=given.get("reason", ""),
    )  # fmt: skip
    remember(world, "change", given, change)
    return {}


def _end(world: World, given: Args) -> Answer:
    subscription, at = world.subscription(given), given.get("at", world.today())
    if given.get("when") == "period_end":
        at = period_end(calendar_of(subscription.contract), world.now)
    change = end_subscription(
        subscription=subscription, at=at, now=world.now, options=_options(given), reason=given.get("reason", "")
    )
    remember(world, "change", given, change)
    return {}


def _undo_change(world: World, given: Args) -> Answer:
    undo_change(
        change=world.named["change", given["change"]], reason=given.get("reason", WHY), user=None, now=world.now
    )
    return {}


def _set_term(world: World, given: Args) -> Answer:
    make_term(world, world.subscription(given), given)
    return {}


def _ramp(world: World, given: Args) -> Answer:
    rows = terms.make_ramp(
        subscription=world.subscription(given), kind=given["kind"], code=given.get("charge", ""),
        steps=[(each["from"], each["value"]) for each in given["steps"]], end=given.get("until"),
        reason=given.get("reason", WHY), user=None, now=world.now,
    )  # fmt: skip
    remember(world, "term", given, rows[0])
    return {}


def _add_charge(world: World, given: Args) -> Answer:
    said = given["charge"]
    meter: Meter | None = meter_of(said["meter"]) if "meter" in said else None
    fields: dict[str, Any] = {
        key: value for key, value in said.items() if key not in ("code", "meter", "meter_version")
    }
    fields.setdefault("pay", "in_arrears" if said["kind"] == "usage" else "in_advance")
    row = terms.add_charge(
        subscription=world.subscription(given), code=said["code"], charge=Charge(meter=meter, **fields),
        price=given["price"], start=given["from"], end=given.get("until"), periods=given.get("periods"),
        reason=given.get("reason", WHY), user=None, now=world.now,
    )  # fmt: skip
    remember(world, "term", given, row)
    return {}


def _end_term(world: World, given: Args) -> Answer:
    terms.end_term(term=world.term(given), at=given["until"], reason=given.get("reason", WHY), user=None, now=world.now)
    return {}


def _undo_term(world: World, given: Args) -> Answer:
    terms.undo_term(
        term=world.term(given), reason=given.get("reason", WHY), user=None, now=world.now,
        whole_ramp=True,
    )  # fmt: skip
    return {}


_BOUNDS: Final = {key: TERM_KEYS[key] for key in ("from", "until", "periods", "reason", "name")}

_ABOUT: Final = {
    "unused": "time that was paid; default credit", "fees": "new ones until the next boundary; default prorated",
    "anchor": "of cycles; default kept, but another cadence begins anew",
    "tiers": "over the change; default continue where only prices change",
    "gauges": "meters whose parts do not add up; default next_cycle",
}  # fmt: skip
_OPTIONS: Final = {
    key: may(Choice(tuple(each for each in values if each)), _ABOUT.get(key, "")) for key, values in ALLOWED.items()
}
_CHANGE_NAME: Final = may(named("change"), "by which it can be undone")
ACTIONS: Final = [
    Action("customer", "A new customer.", CUSTOMER, _customer),
    Action("contract", "A contract is signed and put into force, with its subscriptions.", CONTRACT, _sign),
    Action("payer", "Somebody else pays for a customer, or for one contract.", Obj("who pays", {
        "customer": may(Text(refers="customer"), "for all contracts of whom"),
        "contract": may(Text(refers="contract"), "for which alone"),
        "payer": needs(Text(refers="customer")),
        "from": may(Moment(days=True), "first day of service; default the step’s day"), "reason": REASON,
        "name": may(named("payer"), "by which it can be undone"),
    }), _payer),
    Action("undo_payer", "Who was to pay is taken back.", Obj("what is undone", {
        "name": needs(Text(refers="payer")),
    }), _undo_payer),
    Action("subscribe", "A contract is subscribed to a plan.", Obj("a subscription", {
        "contract": of("contract"), **SUBSCRIPTION_KEYS,
    }, _defined), _subscribe),
    Action("change", "A subscription gets another plan, version or quantity from a day on.", Obj("a change", {
        "subscription": SUBSCRIPTION, "from": may(Moment(), "default the step’s day; may lie in the past"),
        "plan": may(Text(60, refers="plan")), "version": may(Whole(1, 2147483647)), "quantity": may(Number(0)),
        "when": may(Choice(("period_end", "increase_now")), "in place of from: increase_now waits where fees fall"),
        **_OPTIONS, "reason": REASON, "name": _CHANGE_NAME,
    }), _change),
    Action("end", "A subscription ends.", Obj("an end", {
        "subscription": SUBSCRIPTION, "at": may(Moment(), "the first day without it; default the step’s day"),
        "when": may(Choice(("period_end",)), "in place of at"), "unused": _OPTIONS["unused"],
        "reason": REASON, "name": _CHANGE_NAME,
    }), _end),
    Action("undo_change", "A change, or an end, as if it had never been agreed.", Obj("what is undone", {
        "change": needs(Text(refers="change"), "its name"), "reason": REASON,
    }), _undo_change),
    Action("set_term", "A customer’s own term is agreed.", Obj("a term", {
        "subscription": SUBSCRIPTION, **TERM_KEYS,
    }, check), _set_term),
    Action("ramp", "Own terms that are known in advance, step by step.", Obj("a ramp", {
        "subscription": SUBSCRIPTION, **RAMP_KEYS,
    }, check), _ramp),
    Action("add_charge", "A charge that the plan does not have.", Obj("an added charge", {
        "subscription": SUBSCRIPTION, "charge": needs(Obj("a charge", CHARGE_KEYS)),
        "price": needs(Anything(), "as docs/formats.md says"), **_BOUNDS,
    }), _add_charge),
    Action("end_term", "An own term ends on another day than it was to.", Obj("the end of a term", {
        "term": needs(Text(refers="term"), "its name"), "until": needs(Moment(), "exclusive"), "reason": REASON,
    }), _end_term),
    Action("undo_term", "An own term, of a ramp all its steps, as if it had never been agreed.", Obj("what is undone", {
        "term": needs(Text(refers="term"), "its name"), "reason": REASON,
    }), _undo_term),
]  # fmt: skip

"""Steps about contracts: sign one, subscribe, change, end, and customers' own terms."""

from typing import Any, Final

from billing.catalog.models import Charge
from billing.catalog.services import change_subscription, end_subscription
from billing.catalog.terms import services as terms
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
from config.scenario.shapes import Anything, Moment, Number, Obj, Text, Whole, may, needs
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


def _change(world: World, given: Args) -> Answer:
    change_subscription(
        subscription=world.subscription(given), at=given.get("from", world.today()), now=world.now,
        version=version_of(given), quantity=given.get("quantity"),
    )  # fmt: skip
    return {}


def _end(world: World, given: Args) -> Answer:
    end_subscription(subscription=world.subscription(given), at=given.get("at", world.today()), now=world.now)
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
    }), _change),
    Action("end", "A subscription ends.", Obj("an end", {
        "subscription": SUBSCRIPTION, "at": may(Moment(), "the first day without it; default the step’s day"),
    }), _end),
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

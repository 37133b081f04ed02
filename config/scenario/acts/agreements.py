"""Steps about what a contract as a whole agrees, coupons, and how invoices are handled and held."""

from typing import Any, Final

from billing.catalog.agreements import services as agreements
from billing.catalog.agreements.kinds import KEYS, read_agreement
from billing.catalog.agreements.models import ContractTerm
from billing.catalog.coupons import services as coupons
from billing.catalog.coupons.models import Coupon, Redemption
from billing.invoicing.holds.models import Hold, UsageTolerance
from billing.invoicing.holds.services import release
from billing.invoicing.late.services import set_policy
from billing.pricing import PriceError
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.reading import Reading
from config.scenario.sections import CURRENCY, REASON, SLUG, named, of
from config.scenario.setup import WHY, remember
from config.scenario.shapes import Anything, Choice, ListOf, Moment, Number, Obj, Text, Whole, may, needs
from config.scenario.world import Answer, Args, World


def _check(given: Args, path: str, reading: Reading) -> None:
    """Whether the values are what the kind takes."""
    values = {f"{path}.value": given["value"]} if "value" in given else {}
    values |= {f"{path}.steps[{i}].value": (each or {}).get("value") for i, each in enumerate(given.get("steps") or [])}
    for place, value in values.items():
        try:
            if given.get("kind") and isinstance(value, dict):
                read_agreement(given["kind"], value, place)
        except PriceError as error:
            reading.wrong(error.path, error.message)


def _who(world: World, given: Args) -> dict[str, Any]:
    return {"reason": given.get("reason", WHY), "user": None, "now": world.now}


def _agree(world: World, given: Args) -> Answer:
    row = agreements.agree(
        contract=world.contract(given), kind=given["kind"], value=given["value"], start=given["from"],
        end=given.get("until"), periods=given.get("periods"), **_who(world, given),
    )  # fmt: skip
    remember(world, "agreement", given, row)
    return {}


def _agree_ramp(world: World, given: Args) -> Answer:
    rows = agreements.agree_ramp(
        contract=world.contract(given), kind=given["kind"], end=given.get("until"),
        steps=[(each["from"], each["value"]) for each in given["steps"]], **_who(world, given),
    )  # fmt: skip
    remember(world, "agreement", given, rows[0])
    return {}


def _agreement(world: World, given: Args) -> ContractTerm:
    """The agreement that is named; what became of it where it was ended before."""
    found: ContractTerm = world.named["agreement", given["agreement"]]
    while after := ContractTerm.objects.filter(replaces=found).order_by("-id").first():
        found = after
    return found


def _end(world: World, given: Args) -> Answer:
    agreements.end_agreement(term=_agreement(world, given), at=given["until"], **_who(world, given))
    return {}


def _undo(world: World, given: Args) -> Answer:
    agreements.undo_agreement(term=_agreement(world, given), whole_ramp=True, **_who(world, given))
    return {}


def _coupon(world: World, given: Args) -> Answer:
    coupon = Coupon(created_at=world.now, **({"name": given["code"]} | given))
    coupon.full_clean()
    coupon.save()
    return {}


def _redeem(world: World, given: Args) -> Answer:
    contract = world.contract(given) if "contract" in given else None
    customer = contract.customer if contract else world.customer(given)
    row = coupons.redeem(
        coupon=Coupon.objects.get(code=given["coupon"]), customer=customer, contract=contract,
        start=given.get("from", world.today()), rank=given.get("rank"), **_who(world, given),
    )  # fmt: skip
    remember(world, "redemption", {"name": given["coupon"]} | given, row)
    return {}


def _redemption(world: World, given: Args) -> Redemption:
    found: Redemption | None = world.named.get(("redemption", given["redemption"]))
    if found is None:
        raise Refused(f"“{given['redemption']}” is not redeemed up to here.")
    return Redemption.objects.filter(replaces=found).order_by("-id").first() or found


def _remove_coupon(world: World, given: Args) -> Answer:
    coupons.remove(redemption=_redemption(world, given), at=given["until"], **_who(world, given))
    return {}


def _undo_coupon(world: World, given: Args) -> Answer:
    coupons.undo(redemption=_redemption(world, given), **_who(world, given))
    return {}


def _retire_coupon(world: World, given: Args) -> Answer:
    coupons.retire(coupon=Coupon.objects.get(code=given["coupon"]), now=world.now)
    return {}


def _policy(world: World, given: Args) -> Answer:
    fields = {key: given[key] for key in ("late", "grace", "grace_unit", "zero", "threshold", "currency")
              if key in given}  # fmt: skip
    whose: Args = {"contract": world.contract(given)} if "contract" in given else {"entity": world.entity(given)}
    set_policy(since=given.get("from", world.today()), **whose, **fields, **_who(world, given))
    return {}


def _tolerance(world: World, given: Args) -> Answer:
    limits = {key: value for key, value in given.items() if key != "entity"}
    UsageTolerance.objects.update_or_create(entity=world.entity(given), defaults=limits)
    return {}


def _release(world: World, given: Args) -> Answer:
    """Let go what holds the contract now."""
    held = Hold.objects.filter(contract=world.contract(given), released_at=None, ended_at=None).order_by("id")
    if not held:
        raise Refused("Nothing holds this contract.")
    for each in held:
        release(hold_id=each.pk, user=None, reason=given.get("reason", WHY), now=world.now)
    return {}


_KIND: Final = needs(Choice(tuple(KEYS)), "as docs/terms.md names it")
_VALUE: Final = needs(Anything(), "as docs/terms.md says for the kind")
_AGREEMENT: Final = needs(Text(refers="agreement"), "its name")
_COUPON: Final = needs(Text(40, refers="coupon"), "its code")
_REDEMPTION: Final = needs(Text(), "the name that it was redeemed under, else the coupon's code")

ACTIONS: Final = [
    Action("agree", "A contract as a whole agrees on its spending, or on a discount.", Obj("an agreement", {
        "contract": of("contract"), "kind": _KIND, "value": _VALUE, "from": needs(Moment(), "first day"),
        "until": may(Moment(), "exclusive; default open"), "periods": may(Whole(1, 1200), "in place of until"),
        "reason": REASON, "name": may(named("agreement"), "by which later steps find it"),
    }, _check), _agree),
    Action("agree_ramp", "Such agreements that are known in advance, step by step.", Obj("a ramp", {
        "contract": of("contract"), "kind": _KIND,
        "steps": needs(ListOf(Obj("a step of a ramp", {"from": needs(Moment()), "value": _VALUE}), least=2)),
        "until": may(Moment(), "exclusive; default open"), "reason": REASON,
        "name": may(named("agreement"), "by which later steps find its first step"),
    }, _check), _agree_ramp),
    Action("end_agreement", "An agreement of a contract ends on another day than it was to.", Obj("an end", {
        "agreement": _AGREEMENT, "until": needs(Moment(), "exclusive"), "reason": REASON,
    }), _end),
    Action("undo_agreement", "An agreement, of a ramp all its steps, as if it had never been made.", Obj("an undo", {
        "agreement": _AGREEMENT, "reason": REASON,
    }), _undo),
    Action("coupon", "A coupon that customers may redeem.", Obj("a coupon", {
        "code": needs(Text(40, defines="coupon")), "name": may(Text(60), "as printed; default its code"),
        "percentage": may(Number(0)), "amount": may(Number(0)), "currency": may(CURRENCY, "of an amount"),
        "scope": may(Choice(("all", "plans", "charges")), "default all"), "codes": may(ListOf(SLUG), "of the scope"),
        "duration": may(Choice(("once", "cycles", "forever")), "default once"), "cycles": may(Whole(1, 32767)),
        "valid_from": may(Moment(days=True)), "valid_to": may(Moment(days=True), "exclusive"),
        "max_redemptions": may(Whole(1, 10**9)),
    }), _coupon),
    Action("redeem", "A coupon is applied to a contract, or to all of a customer's.", Obj("a redemption", {
        "coupon": _COUPON, "customer": of("customer"), "contract": may(Text(refers="contract"), "for it alone"),
        "from": may(Moment(days=True), "in whose cycle it begins; default the step’s day"),
        "rank": may(Whole(0, 32767), "its place in the order"), "reason": REASON,
        "name": may(Text(), "by which it can be removed"),
    }), _redeem),
    Action("remove_coupon", "A coupon is applied no more from a cycle on.", Obj("what is removed", {
        "redemption": _REDEMPTION, "until": needs(Moment(days=True)), "reason": REASON,
    }), _remove_coupon),
    Action("undo_coupon", "A coupon was never applied.", Obj("what is undone", {
        "redemption": _REDEMPTION, "reason": REASON,
    }), _undo_coupon),
    Action("retire_coupon", "Nobody can redeem a coupon any more.", Obj("a coupon", {"coupon": _COUPON}),
           _retire_coupon),
    Action("policy", "How a seller, or a contract, has late usage, open drafts and small invoices.", Obj("a policy", {
        "entity": of("entity"), "contract": may(Text(refers="contract"), "for it alone"),
        "from": may(Moment(days=True), "default the step’s day"),
        "late": may(Choice(("next", "apart")), "where late usage goes"), "grace": may(Whole(0, 2000)),
        "grace_unit": may(Choice(("hours", "days")), "default hours"),
        "zero": may(Choice(("issue", "skip", "carry")), "invoices of zero"),
        "threshold": may(Number(0), "the smallest invoice"), "currency": may(CURRENCY, "of that"), "reason": REASON,
    }), _policy),
    Action("tolerance", "How much usage that cannot be read or counted a run lets pass.", Obj("a tolerance", {
        "entity": of("entity"), "invalid_events": may(Whole(0, 10**9)), "invalid_share": may(Number(0), "in per cent"),
        "uncounted_events": may(Whole(0, 10**9)), "uncounted_share": may(Number(0), "in per cent"),
    }), _tolerance),
    Action("release", "What holds a contract is let go.", Obj("a release", {
        "contract": of("contract"), "reason": REASON,
    }), _release),
]  # fmt: skip

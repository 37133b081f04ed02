"""Steps about what is added to drafts by hand: lines, discounts, notes."""

from datetime import date
from typing import Any, Final

from billing.invoicing.manual import services
from billing.invoicing.manual.models import ManualLine
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import InvoiceState
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.sections import REASON, SLUG, named, of
from config.scenario.setup import WHY, remember
from config.scenario.shapes import Flag, Moment, Number, Obj, Text, may, needs
from config.scenario.world import Answer, Args, World
from customers.models import Contract


def _who(world: World, given: Args) -> dict[str, Any]:
    return {"reason": given.get("reason", WHY), "user": None, "now": world.now}


def _add_line(world: World, given: Args) -> Answer:
    day: date = given.get("from", world.today())
    last: date = given.get("to", day)
    values = {key: given[key] for key in ("amount", "quantity", "unit", "unit_price") if key in given}
    line = services.add_line(
        contract=world.contract(given), text=given["text"], first=day, last=last,
        due_on=given.get("due", world.today()), **values, **_who(world, given),
    )  # fmt: skip
    remember(world, "manual", {"name": given["text"]} | given, line)
    return {}


def _discount(world: World, given: Args) -> Answer:
    contract = world.contract(given)
    values = {key: given[key] for key in ("amount", "percentage") if key in given}
    line = services.add_discount(
        contract=contract, text=given["text"], due_on=given.get("due", world.today()),
        of=_line_of(contract, given["charge"]) if "charge" in given else None, **values, **_who(world, given),
    )  # fmt: skip
    remember(world, "manual", {"name": given["text"]} | given, line)
    return {}


def _line_of(contract: Contract, charge: str) -> InvoiceLine:
    """The first line of a charge that the open draft bills."""
    lines = InvoiceLine.objects.filter(
        stream__contract=contract, stream__charge_code__code=charge, corrects=None, invoice__state=InvoiceState.DRAFT
    )
    found = lines.select_related("stream").order_by("position").first()
    if found is None:
        raise Refused(f"No draft bills “{charge}” here: bill first.")
    return found


def _line(world: World, given: Args) -> ManualLine:
    """The line that is named, as it was said last."""
    found: ManualLine | None = world.named.get(("manual", given["line"]))
    if found is None:
        raise Refused(f"“{given['line']}” was not added up to here.")
    while after := ManualLine.objects.filter(replaces=found).order_by("-id").first():
        found = after
    return found


def _change(world: World, given: Args) -> Answer:
    values = {key: given[key] for key in ("text", "amount", "quantity", "unit_price", "percentage") if key in given}
    services.say_anew(line=_line(world, given), **values, **_who(world, given))
    return {}


def _take_back(world: World, given: Args) -> Answer:
    services.take_back(line=_line(world, given), **_who(world, given))
    return {}


def _note(world: World, given: Args) -> Answer:
    lines = InvoiceLine.objects.filter(stream__contract=world.contract(given))
    draft = Invoice.objects.filter(state=InvoiceState.DRAFT, pk__in=lines.values("invoice")).order_by("pk").first()
    if draft is None:
        raise Refused("There is no draft to put a note on: bill first.")
    services.add_note(invoice=draft, text=given["text"], printed=given.get("printed", True), user=None, now=world.now)
    return {}


_LINE: Final = needs(Text(), "the name that it was added under, else its text")
_DUE: Final = may(Moment(days=True), "on drafts as of this day or later; default the step’s day")

ACTIONS: Final = [
    Action("add_line", "A line is added to a contract's draft by hand.", Obj("a line", {
        "contract": of("contract"), "text": needs(Text(150), "as printed"), "amount": may(Number()),
        "quantity": may(Number()), "unit": may(Text(40)), "unit_price": may(Number()),
        "from": may(Moment(days=True), "first day of service; default the step’s day"),
        "to": may(Moment(days=True), "last day of service; default the first"),
        "due": _DUE, "reason": REASON, "name": may(named("manual"), "by which later steps find it"),
    }), _add_line),
    Action("add_discount", "A discount on a contract's draft, or on a line of it, by hand.", Obj("a discount", {
        "contract": of("contract"), "text": needs(Text(150), "as printed"), "amount": may(Number(0)),
        "percentage": may(Number(0)), "charge": may(SLUG, "off the first line of this charge; default the draft"),
        "due": _DUE, "reason": REASON, "name": may(named("manual"), "by which later steps find it"),
    }), _discount),
    Action("change_line", "Another version of what was added by hand.", Obj("a change", {
        "line": _LINE, "text": may(Text(150)), "amount": may(Number()), "quantity": may(Number()),
        "unit_price": may(Number()), "percentage": may(Number(0)), "reason": REASON,
    }), _change),
    Action("take_back_line", "What was added by hand is taken back.", Obj("what is taken back", {
        "line": _LINE, "reason": REASON,
    }), _take_back),
    Action("note", "A note is put on a contract's draft.", Obj("a note", {
        "contract": of("contract"), "text": needs(Text(1000)), "printed": may(Flag(), "default true"),
    }), _note),
]  # fmt: skip

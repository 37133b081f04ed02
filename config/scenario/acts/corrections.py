"""Steps about issued invoices that were wrong, or are forgiven: credit, void."""

from typing import Final

from billing.invoicing.concessions.models import Way
from billing.invoicing.concessions.services import credit
from billing.invoicing.models import Invoice
from billing.invoicing.states import NUMBERED
from billing.invoicing.voiding.services import bill_after_all, void
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.reading import listing
from config.scenario.sections import REASON
from config.scenario.setup import WHY
from config.scenario.shapes import Choice, Flag, Number, Obj, Text, Whole, may
from config.scenario.world import Answer, Args, World


def invoice_of(world: World, given: Args) -> Invoice:
    """The one that is named, or the latest that was issued."""
    sent = Invoice.objects.filter(customer__in=world.customers.values(), state__in=NUMBERED)
    if "invoice" in given:
        found = sent.filter(number=given["invoice"]).first()
        if found is None:
            numbers = [str(number) for number in sent.order_by("pk").values_list("number", flat=True)]
            raise Refused(f"There is no issued invoice “{given['invoice']}”; {listing('invoice', numbers)}.")
        return found
    found = sent.filter(kind=Invoice.Kind.INVOICE).order_by("-issue_date", "-sequence").first()
    if found is None:
        raise Refused("No invoice was issued up to here.")
    return found


def _credit(world: World, given: Args) -> Answer:
    """Of the whole invoice, or of a line: all that is left of it, an amount, or a part of its quantity."""
    invoice = invoice_of(world, given)
    amounts, quantities = None, None
    if "line" in given:
        line = invoice.lines.filter(position=given["line"]).first()
        if line is None:
            raise Refused(f"{invoice} has no line {given['line']}.")
        if "quantity" in given:
            quantities = {line.pk: given["quantity"]}
        else:
            amounts = {line.pk: given.get("amount", line.amount)}
    credit(
        invoice_id=invoice.pk, amounts=amounts, quantities=quantities, way=given.get("then", Way.BALANCE),
        reason=given.get("reason", WHY), user=None, now=world.now,
    )  # fmt: skip
    return {}


def _void(world: World, given: Args) -> Answer:
    void(
        invoice_id=invoice_of(world, given).pk, bill_again=given.get("bill_again", True),
        way=given.get("then", Way.BALANCE), reason=given.get("reason", WHY), user=None, now=world.now,
    )  # fmt: skip
    return {}


def _bill_after_all(world: World, given: Args) -> Answer:
    bill_after_all(
        invoice_id=invoice_of(world, given).pk, reason=given.get("reason", WHY), user=None, now=world.now
    )  # fmt: skip
    return {}


INVOICE: Final = may(Text(40), "its number; default the latest invoice that was issued")
_THEN: Final = may(Choice(tuple(Way.values)), "what becomes of what is not open; default balance")

ACTIONS: Final = [
    Action("credit_invoice", "An issued invoice, or a part of it, is credited: a credit note stands as a draft.", Obj(
        "a credit", {
            "invoice": INVOICE, "line": may(Whole(1, 10**6), "its number on the invoice; default all lines"),
            "amount": may(Number(), "off the line, before tax; default all that it billed"),
            "quantity": may(Number(0), "in place of an amount: this part of the line’s"), "then": _THEN,
            "reason": REASON,
        }), _credit),
    Action("void_invoice", "An issued invoice is voided: a reversal is issued, and its lines stand on the next draft.",
        Obj("a void", {
            "invoice": INVOICE, "bill_again": may(Flag(), "false waives its lines; default true"), "then": _THEN,
            "reason": REASON,
        }), _void),
    Action("bill_after_all", "The lines of a voided invoice are no longer waived.", Obj("a waiver that is taken back", {
        "invoice": INVOICE, "reason": REASON,
    }), _bill_after_all),
]  # fmt: skip

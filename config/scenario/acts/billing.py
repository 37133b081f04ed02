"""Steps about invoices and money: bill, approve, send back, issue, pay."""

from datetime import date, datetime
from functools import partial
from typing import Any, Final

from django.db.models import QuerySet

from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.payments.queries import open_amount
from billing.payments.services import record_payment
from billing.periods import local_date
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.reading import listing
from config.scenario.sections import REASON
from config.scenario.setup import WHY
from config.scenario.shapes import Choice, Flag, ListOf, Moment, Number, Obj, Part, Text, may
from config.scenario.world import Answer, Args, World

_WHOSE: Final = {
    "contract": may(Text(refers="contract"), "default all of the scenario"),
    "customer": may(Text(refers="customer"), "all its contracts"),
}
_INVOICE: Final = may(Text(40), "its number, where it is issued")


def _bill(world: World, given: Args) -> Answer:
    """Run billing for the scenario's contracts; `then` goes on with all that stands drafted."""
    ids = world.contract_ids(given)
    run = run_billing(as_of=given.get("as_of", world.today()), now=world.now, contract_ids=ids)
    rows = run.outcomes.select_related("contract").order_by("contract_id")
    failed = [row.reason for row in rows if row.result == "failed"]
    if failed:
        raise Refused(f"The run failed: {' '.join(failed)}")
    then: Answer = {}
    if given.get("then") in ("approve", "issue"):
        then |= _approve(world, given)
    if given.get("then") == "issue":
        then |= _issue(world, given)
    outcomes = [{"contract": row.contract.number, "result": row.result, "reason": row.reason} for row in rows]
    return {"outcomes": outcomes, **then}


def _approve(world: World, given: Args) -> Answer:
    early = {"early": given["early"]} if "early" in given else {}
    return _each(partial(approve, **early), world, given, "draft")


def _issue(world: World, given: Args) -> Answer:
    return _each(issue, world, given, "approved")


def _each(act: Any, world: World, given: Args, state: str) -> Answer:
    """Do it to each; those that are skipped say why, and the others stand."""
    ids = list(_invoices(world, given, state).values_list("id", flat=True))
    result = act(invoice_ids=ids, user=None, now=world.now)
    return {"error": " ".join(why for _, why in result.skipped)} if result.skipped else {}


def _send_back(world: World, given: Args) -> Answer:
    """The latest approved invoice of the contract goes back to draft."""
    found = _invoices(world, given, "approved").order_by("-approved_at", "-id").first()
    if found is None:
        raise Refused("No invoice is approved: there is nothing to send back.")
    send_back(invoice_id=found.pk, user=None, reason=given.get("reason", WHY), now=world.now)
    return {}


def _pay(world: World, given: Args) -> Answer:
    """The invoice that is named, or the oldest open one of the contract, is paid in full or in part."""
    invoice = _payable(world, given)
    received = given.get("received_on", local_date(world.now, invoice.entity.timezone))
    record_payment(
        invoice_id=invoice.pk, amount=given.get("amount", open_amount(invoice)), received_on=_day(received),
        reference=given.get("reference", ""), keep_over=given.get("keep_over", False), user=None, now=world.now,
    )  # fmt: skip
    return {}


def _day(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def _payable(world: World, given: Args) -> Invoice:
    issued = _invoices(world, given, "issued").select_related("entity").order_by("issue_date", "sequence")
    if "invoice" in given:
        found = issued.filter(number=given["invoice"]).first()
        if found is None:
            numbers = [str(number) for number in issued.values_list("number", flat=True)]
            raise Refused(f"There is no issued invoice “{given['invoice']}”; {listing('invoice', numbers)}.")
        return found
    found = next((each for each in issued if open_amount(each) > 0), None)
    if found is None:
        raise Refused("No issued invoice has anything open.")
    return found


def _invoices(world: World, given: Args, state: str) -> QuerySet[Invoice]:
    """The scenario's invoices in a state, of the contract or customer that is named."""
    found = Invoice.objects.filter(customer__in=world.customers.values(), state=state)
    if "customer" in given:
        found = found.filter(customer=world.customer(given))
    if "contract" in given:
        found = found.filter(lines__stream__contract=world.contract(given)).distinct()
    return found.order_by("id")


ACTIONS: Final = [
    Action("bill", "Billing is run: drafts are what fell due and is not billed yet.", Obj("a run", {
        "as_of": may(Moment(days=True), "default the step’s day"), **_WHOSE,
        "then": may(Choice(("approve", "issue")), "go on with all drafts"),
    }), _bill, {
        "outcomes": may(ListOf(Obj("an outcome", {
            "contract": may(Text(refers="contract")),
            "result": may(Choice(("drafted", "unchanged", "held", "failed"))), "reason": may(Part()),
        })), "one a contract"),
    }),
    Action("approve", "Drafts are approved.", Obj("what is approved", {
        **_WHOSE, "early": may(Text(500), "why those that wait are approved all the same"),
    }), _approve),
    Action("send_back", "An approved invoice goes back to draft.", Obj("what is sent back", {
        **_WHOSE, "reason": REASON,
    }), _send_back),
    Action("issue", "Approved invoices are issued.", Obj("what is issued", _WHOSE), _issue),
    Action("pay", "Money comes in for an invoice.", Obj("a payment", {
        "invoice": _INVOICE, **_WHOSE, "amount": may(Number(), "default all that is open"),
        "received_on": may(Moment(days=True), "in the seller’s zone; default the step’s day"),
        "reference": may(Text(100)),
        "keep_over": may(Flag(), "what is more than that becomes the customer’s balance; default false"),
    }), _pay),
]  # fmt: skip

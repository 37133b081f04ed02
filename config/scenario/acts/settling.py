"""Steps about what settles invoices without money: balances, refunds, write-offs; and what customers have."""

from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User

from billing.payments.balance.models import BalanceAccount
from billing.payments.balance.queries import with_balance
from billing.payments.balance.services import apply_balance, refund, settle_outside
from billing.payments.queries import open_amount
from billing.payments.writeoffs.models import WriteOff
from billing.payments.writeoffs.services import (
    approve_write_off,
    decline_write_off,
    request_write_off,
    reverse_write_off,
)
from config.scenario.actions import Action
from config.scenario.acts.corrections import INVOICE, invoice_of
from config.scenario.errors import Refused
from config.scenario.sections import CURRENCY, REASON
from config.scenario.setup import WHY
from config.scenario.shapes import ListOf, Number, Obj, Text, may
from config.scenario.showing import money
from config.scenario.world import Answer, Args, World

State = WriteOff.State


def _use(world: World, given: Args) -> Answer:
    apply_balance(invoice_id=invoice_of(world, given).pk, user=None, now=world.now)
    return {}


def _refund(world: World, given: Args) -> Answer:
    return _take(refund, world, given)


def _outside(world: World, given: Args) -> Answer:
    return _take(settle_outside, world, given)


def _take(verb: Any, world: World, given: Args) -> Answer:
    """A part of the only balance that is meant, or all of it."""
    accounts = list(with_balance(_accounts(world, given)))
    if not accounts:
        raise Refused("There is no such balance.")
    if len(accounts) > 1:
        raise Refused("Say which balance, by customer, legal entity or currency.")
    verb(
        account_id=accounts[0].pk, amount=given.get("amount", accounts[0].balance), reason=given.get("reason", WHY),
        user=None, now=world.now,
    )  # fmt: skip
    return {}


def _accounts(world: World, given: Args) -> Any:
    found = BalanceAccount.objects.filter(customer__in=world.customers.values())
    for key in ("customer", "entity"):
        if key in given:
            found = found.filter(**{key: getattr(world, key)(given)})
    if "currency" in given:
        found = found.filter(currency=given["currency"])
    return found


def _customer_balances(world: World, given: Args) -> Answer:
    """What sellers owe customers."""
    accounts = with_balance(_accounts(world, given).select_related("customer", "entity"))
    found = [
        {"customer": each.customer.external_id, "entity": each.entity.code, "currency": each.currency,
         "amount": money(each.balance, each.currency)}
        for each in accounts.order_by("customer__external_id", "entity__code", "currency")
    ]  # fmt: skip
    return {"amount": f"{sum((Decimal(str(row['amount'])) for row in found), Decimal(0)):f}", "accounts": found}


def _write_off(world: World, given: Args) -> Answer:
    """Asked for; somebody else must approve it where it is said who asks."""
    invoice = invoice_of(world, given)
    request_write_off(
        invoice_id=invoice.pk, amount=given.get("amount", open_amount(invoice)), reason=given.get("reason", WHY),
        four_eyes="by" in given, user=_user(given), now=world.now,
    )  # fmt: skip
    return {}


def _user(given: Args) -> User | None:
    """The person who is named; made where nobody of the name is there, and gone with the scenario."""
    return User.objects.get_or_create(username=given["by"])[0] if "by" in given else None


def _approve(world: World, given: Args) -> Answer:
    approve_write_off(write_off_id=_asked(world, given), user=_user(given), now=world.now)
    return {}


def _decline(world: World, given: Args) -> Answer:
    decline_write_off(write_off_id=_asked(world, given), user=_user(given), now=world.now)
    return {}


def _reverse(world: World, given: Args) -> Answer:
    reverse_write_off(
        write_off_id=_asked(world, given), reason=given.get("reason", WHY), user=_user(given), now=world.now
    )
    return {}


def _asked(world: World, given: Args) -> int:
    """The latest write-off, of the invoice that is named or of any."""
    found = WriteOff.objects.filter(invoice__customer__in=world.customers.values())
    if "invoice" in given:
        found = found.filter(invoice=invoice_of(world, given))
    latest = found.order_by("-pk").first()
    if latest is None:
        raise Refused("No write-off was asked for up to here.")
    return latest.pk


_BY: Final = may(Text(40), "a name for who does it")
_OWN: Final = may(Text(40), "its number; default the invoice of the latest write-off")
_WHOSE: Final = {
    "customer": may(Text(refers="customer")), "entity": may(Text(refers="entity")), "currency": may(CURRENCY),
}  # fmt: skip
_AMOUNT: Final = may(Number(0), "default all of the balance")

ACTIONS: Final = [
    Action("use_balance", "What an issued invoice has open is settled from the balance, as far as both reach.", Obj(
        "what is settled", {"invoice": INVOICE}), _use),
    Action("refund", "A part of a balance was paid back.", Obj("a refund", {
        **_WHOSE, "amount": _AMOUNT, "reason": may(Text(200), "how"),
    }), _refund),
    Action("settle_outside", "A part of a balance was settled elsewhere.", Obj("what was settled", {
        **_WHOSE, "amount": _AMOUNT, "reason": may(Text(200), "how"),
    }), _outside),
    Action("write_off", "That an open invoice, or a part of it, is given up is asked for.", Obj("a write-off", {
        "invoice": INVOICE, "amount": may(Number(0), "default all that is open"), "reason": REASON,
        "by": may(Text(40), "a name for who asks; then somebody else must approve it"),
    }), _write_off),
    Action("approve_write_off", "A write-off is approved, and booked.", Obj("an approval", {
        "invoice": _OWN, "by": _BY,
    }), _approve),
    Action("decline_write_off", "A write-off is declined: the invoice stays open.", Obj("what is declined", {
        "invoice": _OWN, "by": _BY,
    }), _decline),
    Action("reverse_write_off", "A write-off is reversed: the amount is open again.", Obj("a reversal", {
        "invoice": _OWN, "by": _BY, "reason": REASON,
    }), _reverse),
]  # fmt: skip
QUESTIONS: Final = [
    Action("customer_balances", "What sellers owe customers: their balances.", Obj(
        "the question for customer_balances", _WHOSE), _customer_balances, {
        "amount": may(Number(), "the sum"), "accounts": may(ListOf(Obj("a customer balance", {
            "customer": may(Text()), "entity": may(Text()), "currency": may(Text()), "amount": may(Number()),
        })), "those that ever had one"),
    }, _WHOSE),
]  # fmt: skip

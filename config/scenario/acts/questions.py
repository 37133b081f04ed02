"""Questions of a scenario: they change nothing, may be asked at any step, and stand in every `expect`."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, Sum

from billing.catalog.models import ChargeCode
from billing.catalog.terms.pages import InForce, on_day
from billing.invoicing.engine import deltas
from billing.invoicing.fees import FeeLine
from billing.invoicing.holds.models import Hold
from billing.invoicing.load import as_of_instant
from billing.invoicing.models import Invoice
from billing.invoicing.slots import SlotLine
from billing.invoicing.states import InvoiceState
from billing.metering.queries import quantities
from billing.money import plain
from billing.periods import Period, local_date, local_midnight
from billing.verification.services import verify
from config.scenario import showing
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.sections import CURRENCY, of
from config.scenario.shapes import (
    Anything,
    Choice,
    Flag,
    Key,
    ListOf,
    Moment,
    Month,
    Number,
    Obj,
    Part,
    Shape,
    Text,
    Values,
    Whole,
    may,
    needs,
)
from config.scenario.showing import ENTRY, INVOICE, LINE_KEYS
from config.scenario.world import Act, Answer, Args, World, meter_of
from revenue.ledger.models import JournalEntry, JournalLine
from revenue.ledger.ties import ties


def _quantities(world: World, given: Args) -> Answer:
    """What a customer used of a meter over a period, of all its subjects."""
    customer, meter = world.customer(given), meter_of(given["meter"])
    zone = given.get("timezone", customer.timezone)
    bounds = [local_midnight(each, zone) if not hasattr(each, "hour") else each for each in given["period"]]
    if len(bounds) != 2 or bounds[1] <= bounds[0]:
        raise Refused("A period has two bounds, the later one second.")
    asked: dict[str, Any] = {"customer_ids": [customer.pk], "meters": [meter], "timezone": zone}
    whole = quantities(**asked, period=Period(*bounds))
    found: Answer = {
        "quantity": plain(sum((row.quantity.value for row in whole), Decimal(0))),
        "events": sum(row.quantity.events for row in whole),
    }
    if "group_by" in given:
        rows = quantities(**asked, period=Period(*bounds), dimensions=given["group_by"])
        found["cells"] = sorted(
            (
                {"dimensions": dict(zip(given["group_by"], row.dimensions, strict=True)),
                 "quantity": plain(row.quantity.value)}
                for row in rows
            ), key=lambda cell: str(cell["dimensions"])
        )  # fmt: skip
    return found


def _preview(world: World, given: Args) -> Answer:
    """What a run would bill now, without writing: desired less recorded."""
    contract = world.contract(given)
    (delta,) = deltas([contract], {contract.pk: as_of_instant(given.get("as_of", world.today()), contract)})
    codes = dict(ChargeCode.objects.filter(product__subscriptions__contract=contract).values_list("id", "code"))
    names = {each.pk: each.code for each in contract.subscriptions.all()}
    ordered = sorted(delta.lines, key=lambda line: (line.stream[0], line.corrects is not None, line.position,
                                                    line.service.start, line.stream[1]))  # fmt: skip
    found: Answer = {
        "lines": [_line(line, codes, names, contract.currency, contract.timezone) for line in ordered],
        "total": showing.total((line.amount for line in delta.lines), contract.currency),
    }
    return found | ({"problem": str(delta.error)} if delta.error else {})


def _line(
    line: FeeLine | SlotLine, codes: Mapping[int, str], names: Mapping[int, str], currency: str, zone: str
) -> dict[str, Any]:
    start, end = showing.service(line.service, zone)
    found = {
        "subscription": names.get(line.stream[0]), "charge": codes.get(line.stream[1]),
        "kind": "recurring" if isinstance(line, FeeLine) else line.kind, "name": line.name, "from": start, "to": end,
        "quantity": None if line.quantity is None else plain(line.quantity), "unit": line.unit or None,
        "amount": showing.money(line.amount, currency), "steps": line.steps,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _invoices(world: World, given: Args) -> Answer:
    rows = Invoice.objects.filter(customer__in=world.customers.values())
    if "customer" in given:
        rows = rows.filter(customer=world.customer(given))
    if "contract" in given:
        rows = rows.filter(lines__stream__contract=world.contract(given)).distinct()
    if "state" in given:
        rows = rows.filter(state=given["state"])
    return {"invoices": list(showing.invoices_of(rows, world.today()).values())}


def _journal(world: World, given: Args) -> Answer:
    rows = JournalEntry.objects.filter(entity__in=world.entities.values())
    if "entity" in given:
        rows = rows.filter(entity=world.entity(given))
    if "event" in given:
        rows = rows.filter(event=given["event"])
    return {"journal": list(showing.journal_of(rows).values())}


def _lines(world: World, given: Args) -> Any:
    rows = JournalLine.objects.filter(entry__entity__in=world.entities.values())
    for key, column in (("entity", "entry__entity"), ("customer", "customer"), ("contract", "contract")):
        if key in given:
            rows = rows.filter(**{column: getattr(world, key)(given)})
    for key, column in (("account", "account__code"), ("currency", "currency")):
        if key in given:
            rows = rows.filter(**{column: given[key]})
    return rows.order_by()


def _balances(world: World, given: Args) -> Answer:
    """What accounts stand at, in their natural sign."""
    rows = _lines(world, given).values_list(
        "entry__entity__code", "account__code", "account__name", "account__kind", "currency"
    ).annotate(net=Sum(F("debit") - F("credit")))  # fmt: skip
    found = [
        {"entity": entity, "account": code, "name": name, "currency": currency,
         "amount": showing.money(net if kind in ("asset", "contra", "expense") else -net, currency)}
        for entity, code, name, kind, currency, net in sorted(rows)
    ]  # fmt: skip
    amount = sum((Decimal(str(row["amount"])) for row in found), Decimal(0))
    return {"amount": f"{amount:f}", "accounts": found}


def _revenue(world: World, given: Args) -> Answer:
    """Revenue by month: of the service, or with `by` of posting."""
    column = "entry__period__month" if given.get("by") == "posting" else "entry__origin_month"
    rows = _lines(world, given).filter(account__kind__in=["revenue", "contra"])
    months: dict[str, Decimal] = defaultdict(Decimal)
    currencies = set()
    for month, currency, amount in rows.values_list(column, "currency").annotate(net=Sum(F("credit") - F("debit"))):
        if given.get("month") in (None, month):
            months[f"{month:%Y-%m}"] += amount
            currencies.add(currency)
    if len(currencies) > 1:
        raise Refused(f"Say of which currency: there is revenue in {' and '.join(sorted(currencies))}.")
    currency = next(iter(currencies), "USD")
    return {
        "months": {month: showing.money(amount, currency) for month, amount in sorted(months.items())},
        "amount": showing.total(months.values(), currency),
    }  # fmt: skip


def _terms(world: World, given: Args) -> Answer:
    """What a subscription binds at the start of a day, and where it comes from."""
    subscription = world.subscription(given)
    day = given.get("on", local_date(world.now, subscription.contract.timezone))
    found = on_day(subscription, day)
    answer: Answer = {
        "version": found.version,
        "charges": [_in_force(each) for each in found.charges],
        "spend": [words for _, words, *_ in found.spend],
        "removed": [name for name, _ in found.removed],
    }
    return answer | ({"problem": found.problem} if found.problem else {})


def _in_force(each: InForce) -> dict[str, Any]:
    found = {
        "charge": each.charge.code, "name": each.charge.name, "price": each.price, "quantity": each.quantity,
        "cadence": each.cadence, "narrowed": each.narrowed, "sources": [source.label for source in each.sources],
    }  # fmt: skip
    return {key: value for key, value in found.items() if value}


def _ties(world: World, given: Args) -> Answer:
    """Whether the books tie with billing's documents."""
    own = [row for entity in world.entities.values() for row in ties(entity=entity).rows]
    return {
        "hold": not any(row.difference for row in own),
        "ties": [
            {"entity": row.entity, "account": row.account, "currency": row.currency,
             "ledger": showing.money(row.ledger, row.currency),
             "documents": showing.money(row.documents, row.currency)}
            for row in own
        ],
    }  # fmt: skip


def _verify(world: World, given: Args) -> Answer:
    """Whether approved and issued invoices are what the facts that were known then come to."""
    mine = Invoice.objects.filter(customer__in=world.customers.values()).values_list("pk", flat=True)
    found = list(verify(invoice_ids=mine))
    return {
        "equal": all(each.result == "equal" for each in found), "count": len(found),
        "reasons": [reason for each in found for reason in each.reasons],
    }  # fmt: skip


def _holds(world: World, given: Args) -> Answer:
    """What holds contracts now."""
    rows = Hold.objects.filter(contract__in=world.contract_ids(given), released_at=None, ended_at=None)
    return {
        "holds": [
            {"contract": row.contract.number, "check": row.code, "reason": row.sentence, "releasable": row.releasable}
            for row in rows.select_related("contract").order_by("contract", "code")
        ]
    }


def _question(
    name: str, about: str, act: Act, params: dict[str, Key], answer: dict[str, Key], shape: Shape | None = None
) -> Action:
    return Action(name, about, shape or Obj(f"the question for {name}", params), act, answer, params)


def _maybe(key: str) -> Key:
    return may(Text(100, refers=key), f"default every {key}")


_ACCOUNT: Final = {
    "account": may(Text(10), "its code, e.g. 1100; default all"), "entity": _maybe("entity"),
    "currency": may(CURRENCY), "customer": _maybe("customer"), "contract": _maybe("contract"),
}  # fmt: skip
_SUM: Final = may(Number(), "the sum")
_PREVIEWED: Final = Obj("a line", {key: LINE_KEYS[key] for key in (
    "subscription", "charge", "kind", "name", "from", "to", "quantity", "unit", "amount", "steps",
)})  # fmt: skip
QUESTIONS: Final = [
    _question("quantities", "What a customer used of a meter.", _quantities, {
        "customer": of("customer"), "meter": needs(Text(60, refers="meter")),
        "period": needs(ListOf(Moment(), least=2), "from and until before"),
        "timezone": may(Text(64), "of its days; default the customer’s"), "group_by": may(ListOf(Text())),
    }, {
        "quantity": may(Number()), "events": may(Whole(0, 10**12)),
        "cells": may(ListOf(Obj("a cell", {"dimensions": may(Anything()), "quantity": may(Number())}))),
    }),
    _question("preview", "What a run would bill now, without writing it.", _preview, {
        "contract": of("contract"), "as_of": may(Moment(days=True), "default the step’s day"),
    }, {"lines": may(ListOf(_PREVIEWED), "all of them"), "total": may(Number()), "problem": may(Part())}),
    _question("terms", "What a subscription binds on a day.", _terms, {
        "subscription": of("subscription"), "on": may(Moment(days=True), "default the step’s day"),
    }, {
        "version": may(Text(empty=True), "e.g. Pro v2"), "charges": may(ListOf(Obj("a charge in force", {
            "charge": may(Text()), "name": may(Text()), "price": may(Text(), "in words"), "quantity": may(Text()),
            "cadence": may(Text()), "narrowed": may(Text()), "sources": may(ListOf(Text())),
        }))), "spend": may(ListOf(Text())), "removed": may(ListOf(Text())), "problem": may(Part()),
    }),
    _question("balances", "What accounts stand at.", _balances, _ACCOUNT, {
        "amount": _SUM, "accounts": may(ListOf(Obj("an account", {
            "entity": may(Text()), "account": may(Text()), "name": may(Text()), "currency": may(Text()),
            "amount": may(Number()),
        }))),
    }),
    _question("revenue", "Revenue by month.", _revenue, {
        **_ACCOUNT, "month": may(Month()), "by": may(Choice(("service", "posting")), "default service"),
    }, {"months": may(Values(Number()), "by month, e.g. 2026-01"), "amount": _SUM}),
]  # fmt: skip
RECORDS: Final = [
    _question("invoices", "Invoices with their lines.", _invoices, {
        "customer": _maybe("customer"), "contract": _maybe("contract"),
        "state": may(Choice(tuple(InvoiceState.values))),
    }, {"invoices": may(ListOf(INVOICE), "all of them, in order")}),
    _question("journal", "Journal entries with their lines.", _journal, {
        "entity": _maybe("entity"), "event": may(Choice(tuple(JournalEntry.Event.values))),
    }, {"journal": may(ListOf(ENTRY), "all of them, in order")}),
    _question("holds", "What holds contracts, so that they get no draft.", _holds, {"contract": _maybe("contract")}, {
        "holds": may(ListOf(Obj("a hold", {
            "contract": may(Text()), "check": may(Text(), "which one"), "reason": may(Part()),
            "releasable": may(Flag()),
        }))),
    }),
    _question("verify", "Whether invoices are what was known when they were computed comes to.", _verify, {}, {
        "equal": may(Flag()), "count": may(Whole(0, 10**9), "how many invoices"), "reasons": may(ListOf(Text())),
    }),
    _question("ties", "Whether the books tie with the documents.", _ties, {}, {
        "hold": may(Flag()), "ties": may(ListOf(Anything())),
    }),
]  # fmt: skip

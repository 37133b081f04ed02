"""The sections of a file: what there is before the first step, and how each of it is written."""

import re
from typing import Any, Final

from billing.catalog.errors import PlanFileError
from billing.catalog.plan_values import PlanFile, read_plan
from billing.catalog.terms.kinds import READERS, read_value
from billing.cycles import Cadence, InvalidCadence
from billing.metering.definitions import KEYS as METER_KEYS
from billing.metering.definitions import meter_problems
from billing.pricing import PriceError
from config.scenario.reading import Reading
from config.scenario.shapes import (
    Anything,
    Choice,
    Either,
    Flag,
    Key,
    ListOf,
    Moment,
    Number,
    Obj,
    Shape,
    Text,
    Whole,
    may,
    needs,
)

NAME: Final = Text(200)
CURRENCY: Final = Text(3, r"^[A-Z]{3}$", "USD")
CADENCE: Final = Text(10, r"^P[1-9]\d*[DWMY]$", "P1M")
CADENCE_OR_DATES: Final = Text(10, r"^(P[1-9]\d*[DWMY]|dates)$", "P1M or dates")
ZONE: Final = Text(64)
SLUG: Final = Text(60, r"^[A-Za-z0-9_-]+$", "main")
REASON: Final = may(Text(300), "why; kept with it")


def named(kind: str) -> Text:
    """The name of a thing of the file, defined here."""
    return Text(100, defines=kind)


def of(kind: str) -> Key:
    """The name of a thing that is there; where there is only one of its kind, it may be left out."""
    return may(Text(100, refers=kind), f"the {kind}; may be left out where there is only one")


ENTITY: Final = Obj("a legal entity", {
    "code": needs(named("entity"), "its code"),
    "name": may(NAME, "as printed; default its code"),
    "currency": may(CURRENCY, "functional currency; default USD"),
    "timezone": may(ZONE, "in which issue dates and months are cut; default UTC"),
    "country": may(Text(2), "ISO 3166 code; default US"),
    "address": may(Text(1000, empty=True)), "tax_id": may(Text(40, empty=True)), "email": may(Text(200)),
    "bank_details": may(Text(1000, empty=True)),
    "invoice_prefix": may(Text(20), "before invoice numbers; default the code in capitals and “-”"),
    "credit_note_prefix": may(Text(24), "default “CN-” and that of invoices"),
    "negative": may(Choice(("credit_note", "next_invoice")), "what becomes of negative totals; default credit_note"),
})  # fmt: skip

CLAIM: Final = Either(Text(), Obj("a claim on a subject", {
    "subject": needs(Text(), "as events carry it"),
    "from": may(Moment(), "default since ever"), "to": may(Moment(), "exclusive; default for ever"),
}))  # fmt: skip

CUSTOMER: Final = Obj("a customer", {
    "id": needs(named("customer"), "its external id"),
    "name": may(NAME, "legal name; default its id"),
    "currency": may(CURRENCY, "default USD"), "timezone": may(ZONE, "default UTC"),
    "locale": may(Text(20), "default en-US"), "country": may(Text(2), "ISO 3166 code"),
    "emails": may(ListOf(Text(200))), "tax_id": may(Text(40, empty=True)),
    "address_line1": may(NAME), "address_line2": may(NAME), "postal_code": may(Text(20)), "city": may(Text(100)),
    "region": may(Text(100)),
    "subjects": may(ListOf(CLAIM), "whose events count for it; default its id"),
})  # fmt: skip


def _check_meter(meter: dict[str, Any], path: str, reading: Reading) -> None:
    if meter.get("aggregation"):
        given = {key: meter[key] for key in METER_KEYS if key in meter}
        for key, problem in meter_problems(given).items():
            reading.wrong(f"{path}.{key}", problem)


METER: Final = Obj("a meter", {
    "code": needs(Text(60, r"^[A-Za-z0-9_-]+$", "tokens", defines="meter"), "its code"),
    "event_type": needs(NAME, "only events of this type count"),
    "aggregation": needs(Choice(
        ("count", "sum", "max", "min", "unique_count", "latest", "average", "weighted_sum")
    ), "how events become a quantity"),
    "value": may(Text(), "what is read from each event, for all but count"),
    "filters": may(Anything(), "what an event must be like"),
    "group_by": may(ListOf(Text()), "dimensions"),
    "operation": may(Text(), "the property that says add or remove"),
    "recurring": may(Flag(), "carried into the next period"),
    "prorate": may(Flag(), "weighs by the days present"),
    "rounding": may(Anything(), "as {\"mode\": \"up\", \"places\": 0}"),
    "name": may(Text(100), "default its code"), "unit": may(Text(40), "in the singular; default unit"),
}, _check_meter)  # fmt: skip

RATE: Final = Obj("a rate", {
    "currency": needs(CURRENCY), "rate": needs(Number(0), "of the currency for one unit"),
    "from": needs(Moment(days=True), "first day, in each contract's zone"),
})  # fmt: skip

UNIT: Final = Obj("a custom unit", {
    "code": needs(Text(40, r"^[a-z0-9][a-z0-9_-]*$", "credits", defines="unit"), "as prices name it"),
    "name": may(Text(60), "as printed; default its code"),
    "places": may(Whole(0, 12), "decimal places of amounts in it; default 2"),
    "rates": may(ListOf(RATE), "what one is worth"),
})  # fmt: skip

CHARGE_KEYS: Final = {
    "code": needs(SLUG, "lasting name, shared by the plans of a product"), "name": needs(Text(100), "as printed"),
    "kind": needs(Choice(("recurring", "usage"))), "pay": may(Choice(("in_advance", "in_arrears"))),
    "meter": may(Text(60, refers="meter"), "of usage"), "meter_version": may(Whole(1, 2147483647)),
    "unit": may(Text(40), "what a fee is paid for, in the singular"), "cadence": may(CADENCE, "default the contract's"),
    "proration": may(Choice(("day", "second", "month30", "none")), "default the contract's"),
    "window": may(Choice(("hour", "day")), "priced hour by hour or day by day"),
    "invoice_group": may(Text(60)), "tax_code": may(Text(40)),
    "revenue_treatment": may(Choice(("ratable", "as_used", "point"))), "position": may(Whole(0, 32767)),
}  # fmt: skip

_PLAN: Final = Obj("a plan", {
    "product": needs(Obj("a product", {"code": needs(SLUG), "name": needs(Text(100))})),
    "plan": needs(Obj("a plan's name", {"code": needs(SLUG), "name": needs(Text(100))})),
    "note": may(Text(200), "what is new in this version"),
    "charges": needs(ListOf(Obj("a charge", {
        **CHARGE_KEYS, "prices": needs(ListOf(Anything(), least=1), "one a currency, as docs/formats.md says"),
    }), least=1)),
})  # fmt: skip


class PlanShape(Shape):
    """A version of a plan, as `export_plan` writes it; the second one of a plan's code is its second version."""

    def read(self, value: Any, path: str, reading: Reading) -> PlanFile | None:
        """The plan as a plain value."""
        before = len(reading.problems)
        _PLAN.read(value, path, reading)
        if len(reading.problems) > before:
            return None
        try:
            plan = read_plan(value)
        except PlanFileError as error:
            for problem in error.problems:
                reading.wrong(problem.path.replace("plan_file", path, 1), problem.message)
            return None
        if plan.plan not in reading.names.get("plan", []):
            reading.define("plan", plan.plan, path)
        return plan

    def schema(self) -> dict[str, Any]:
        """As an object."""
        return _PLAN.schema()


PLAN: Final = PlanShape()

_ABOUT: Final = {
    "kind": needs(Choice(tuple(kind for kind in READERS if kind != "add")), "as docs/terms.md names it"),
    "value": may(Anything(), "as docs/terms.md says for the kind"),
    "charge": may(SLUG, "the code of the charge; leave it out for all charges, or for spending"),
}


def check_value(term: dict[str, Any], path: str, reading: Reading) -> None:
    """Whether the values of a term, or of its steps, are what its kind takes."""
    values = {f"{path}.value": term.get("value", {})}
    if isinstance(term.get("steps"), list):
        values = {f"{path}.steps[{i}].value": (each or {}).get("value", {}) for i, each in enumerate(term["steps"])}
    if term.get("kind") not in (None, "add"):
        for place, value in values.items():
            try:
                read_value(term["kind"], value, place)
            except PriceError as error:
                reading.wrong(error.path, error.message)


TERM_KEYS: Final = {
    **_ABOUT,
    "from": needs(Moment(), "first day"), "until": may(Moment(), "exclusive; default open"),
    "periods": may(Whole(1, 1200), "for so many billing periods, in place of until"),
    "meter": may(Text(60, refers="meter"), "that counts instead, for the kind meter"),
    "reason": REASON, "name": may(named("term"), "by which later steps find it"),
}  # fmt: skip
TERM: Final = Obj("a term", TERM_KEYS, check_value)

RAMP_KEYS: Final = {
    **{key: each for key, each in _ABOUT.items() if key != "value"},
    "steps": needs(ListOf(Obj("a step of a ramp", {
        "from": needs(Moment(), "first day"), "value": needs(Anything()),
    }), least=2)),
    "until": may(Moment(), "exclusive; default open"),
    "reason": REASON, "name": may(named("term"), "by which later steps find its first step"),
}  # fmt: skip

SUBSCRIPTION_KEYS: Final = {
    "code": may(SLUG, "its name within the contract; default main"),
    "plan": needs(Text(60, refers="plan"), "the code of a plan of the file, or of the database"),
    "version": may(Whole(1, 2147483647), "default the latest that is published"),
    "start": may(Moment(), "default the contract's start"), "end": may(Moment(), "exclusive"),
    "quantity": may(Number(0), "of each fee that is paid per unit; default 1"),
    "terms": may(ListOf(TERM), "the customer's own terms"),
}  # fmt: skip


def cadence(value: dict[str, Any], path: str, reading: Reading) -> None:
    """Whether the cadence is one."""
    try:
        if isinstance(value.get("cadence"), str) and re.match(CADENCE.pattern, value["cadence"]):
            Cadence.parse(value["cadence"])
    except InvalidCadence as error:
        reading.wrong(f"{path}.cadence", str(error))


def _subscribed(contract: dict[str, Any], path: str, reading: Reading) -> None:
    cadence(contract, path, reading)
    for place, each in enumerate(contract.get("subscriptions") or []):
        if isinstance(each, dict) and contract.get("number"):
            name = f"{contract['number']}/{each.get('code') or 'main'}"
            reading.define("subscription", name, f"{path}.subscriptions[{place}]")


CONTRACT: Final = Obj("a contract", {
    "number": needs(named("contract"), "its number"),
    "customer": of("customer"), "entity": of("entity"),
    "start": needs(Moment(days=True), "first day, in its zone"),
    "end": may(Moment(days=True, null=True), "the day after the last; default open"),
    "currency": may(CURRENCY, "default the customer's"),
    "cadence": may(CADENCE_OR_DATES, "default P1M"),
    "anchor_day": may(Whole(1, 31), "day on which periods start; default the start's"),
    "anchor_month": may(Whole(1, 12), "a month in which one starts, where periods have several; default the start's"),
    "billing_dates": may(ListOf(Moment(days=True)), "where periods end, for the cadence dates"),
    "stub_divisor": may(Choice(("aligned", "from_start")), "what a first stub is a part of; default aligned"),
    "renewal": may(Choice(("none", "automatic")), "at its end; default none"),
    "renewal_term": may(CADENCE, "for how long it renews by itself"),
    "notice_days": may(Whole(0, 32767), "before the end, until which notice can be given; default 0"),
    "uplift": may(Number(), "by how many per cent prices rise at each renewal"),
    "timezone": may(ZONE, "default the customer's"),
    "proration": may(Choice(("day", "second", "month30", "none")), "default day"),
    "net_days": may(Whole(0, 32767), "days from issue to due date; default 30"), "po_number": may(Text(60)),
    "invoice_group": may(Text(60), "contracts of one payer that have the same share an invoice; default none"),
    "prices": may(Choice(("exclusive", "inclusive")), "without or with tax; default exclusive"),
    "subscriptions": may(ListOf(Obj("a subscription", SUBSCRIPTION_KEYS))),
}, _subscribed)  # fmt: skip

SECTIONS: Final = {
    "entities": may(ListOf(ENTITY), "sellers; default one, “seller”"),
    "customers": may(ListOf(CUSTOMER)),
    "units": may(ListOf(UNIT), "custom units that prices are said in"),
    "meters": may(ListOf(METER)),
    "plans": may(ListOf(PLAN), "versions of plans, published before the first step"),
    "contracts": may(ListOf(CONTRACT)),
}

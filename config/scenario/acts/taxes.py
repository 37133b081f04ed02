"""Steps about taxes: how a seller taxes, the rates, how a customer is taxed, and the tax codes of products."""

from typing import Final

from billing.catalog.models import Product
from billing.invoicing.taxes.services import set_rate, set_tax_code
from config.scenario.actions import Action
from config.scenario.errors import Refused
from config.scenario.sections import REASON, of
from config.scenario.setup import WHY
from config.scenario.shapes import Choice, Flag, Moment, Number, Obj, Text, Whole, may, needs
from config.scenario.world import Answer, Args, World
from customers.models import TaxSetup, TaxTreatment
from customers.taxation.services import set_up_tax, treat

_COUNTRY: Final = Text(2, r"^[A-Z]{2}$", "DE")
_FROM: Final = may(Moment(days=True), "first day on which it holds; default the step’s day")


def _setup(world: World, given: Args) -> Answer:
    fields = {key: given[key] for key in ("provider", "rounding", "point") if key in given}
    set_up_tax(
        entity=world.entity(given), start=given.get("from", world.today()), reason=given.get("reason", WHY),
        now=world.now, **fields,
    )  # fmt: skip
    return {}


def _rate(world: World, given: Args) -> Answer:
    fields = {key: given[key] for key in ("region", "compound", "position") if key in given}
    set_rate(
        code=given["code"], name=str(given.get("name", given["code"])), country=given["country"],
        percentage=given["percentage"], category=given.get("tax_code", ""), start=given.get("from", world.today()),
        end=given.get("until"), reason=given.get("reason", WHY), now=world.now, **fields,
    )  # fmt: skip
    return {}


def _treatment(world: World, given: Args) -> Answer:
    fields = {key: given[key] for key in ("country", "region", "note") if key in given}
    treat(
        customer=world.customer(given), entity=world.entity(given) if "entity" in given else None,
        start=given.get("from", world.today()), treatment=given["treatment"], reason=given.get("reason", WHY),
        now=world.now, **fields,
    )  # fmt: skip
    return {}


def _tax_code(world: World, given: Args) -> Answer:
    product = Product.objects.filter(code=given["product"]).first()
    if product is None:
        raise Refused(f"There is no product “{given['product']}”.")
    set_tax_code(
        product=product, category=given["tax_code"], start=given.get("from", world.today()),
        reason=given.get("reason", WHY), now=world.now,
    )  # fmt: skip
    return {}


ACTIONS: Final = [
    Action("tax_setup", "A legal entity computes tax from a day on.", Obj("how a seller taxes", {
        "entity": of("entity"), "from": _FROM,
        "provider": may(Text(40, empty=True), "who tells the rates; default table, empty for no tax"),
        "rounding": may(Choice(tuple(TaxSetup.Rounding.values)), "of tax; default document"),
        "point": may(Choice(tuple(TaxSetup.Point.values)), "the day whose rate holds; default service_end"),
        "reason": REASON,
    }), _setup),
    Action("tax_rate", "A rate stands in the table of taxes from a day on.", Obj("a rate", {
        "code": needs(Text(40), "its lasting name"), "name": may(Text(60), "as printed; default its code"),
        "country": needs(_COUNTRY, "ISO 3166 code"), "region": may(Text(20), "default everywhere in the country"),
        "tax_code": may(Text(40), "of charges and products; default those that have none"),
        "percentage": needs(Number(0)), "compound": may(Flag(), "on the net and the taxes before it"),
        "position": may(Whole(0, 32767), "order among several"), "from": _FROM,
        "until": may(Moment(days=True), "the day after the last; default open"), "reason": REASON,
    }), _rate),
    Action("tax_treatment", "How a customer is taxed from a day on.", Obj("a treatment", {
        "customer": of("customer"), "entity": may(Text(refers="entity"), "by whom; default all"),
        "treatment": needs(Choice(tuple(TaxTreatment.Treatment.values))),
        "country": may(_COUNTRY, "where it is taxed; default the seller’s"), "region": may(Text(20)),
        "note": may(Text(300), "what must be printed where nothing is taxed"), "from": _FROM, "reason": REASON,
    }), _treatment),
    Action("tax_code", "A product has a tax code from a day on.", Obj("a tax code", {
        "product": needs(Text(60), "its code"), "tax_code": needs(Text(40, empty=True), "empty for what is ordinary"),
        "from": _FROM, "reason": REASON,
    }), _tax_code),
]  # fmt: skip

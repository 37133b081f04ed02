"""What a file has before its first step, made through the services that the back office uses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.plan_files import import_plan
from billing.catalog.plan_values import PlanFile
from billing.catalog.services import publish, subscribe
from billing.catalog.terms import services as terms
from billing.catalog.terms.models import SubscriptionTerm
from billing.catalog.units.models import ConversionRate, CustomUnit
from billing.metering.meters.checking import check_meter
from billing.metering.models import Meter
from config.scenario.errors import REFUSALS, Refused, ScenarioError, sentence
from config.scenario.reading import Problem
from config.scenario.world import Args, World, meter_of, version_of
from customers.models import Contract, Customer, LegalEntity
from customers.services import activate_contract, claim_subject

SELLER = {"code": "seller", "name": "Seller"}
WHY = "Agreed in the scenario."


def build(world: World, file: Args) -> None:
    """Make everything that the sections say; ScenarioError with the path to what the product refuses."""
    makers: dict[str, Callable[[World, Any], Any]] = {
        "entities": make_entity, "customers": make_customer, "units": make_unit, "meters": make_meter,
        "plans": make_plan, "contracts": make_contract,
    }  # fmt: skip
    for section, make in makers.items():
        for place, each in enumerate(file.get(section, [SELLER] if section == "entities" else [])):
            with _at(f"$.{section}[{place}]"):
                make(world, each)


@contextmanager
def _at(path: str) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except REFUSALS as error:
        raise ScenarioError([Problem(path, sentence(error))]) from error
    except IntegrityError as error:
        raise ScenarioError([Problem(path, str(error).splitlines()[0])]) from error


def _new(kind: str, taken: bool, name: str) -> None:
    """What stands in the database keeps its name."""
    if taken:
        raise Refused(f"The database has a {kind} “{name}” already: choose another name, or use an empty database.")


def make_entity(world: World, given: Args) -> None:
    """A legal entity with everything that it may leave out."""
    code = given["code"]
    _new("legal entity", LegalEntity.objects.filter(code=code).exists(), code)
    defaults = {
        "name": code, "address": "1 Main Street", "country": "US", "email": f"billing@{code}.example".lower(),
        "invoice_prefix": f"{code.upper()}-",
    }  # fmt: skip
    entity = LegalEntity(**(defaults | given))
    entity.full_clean()
    entity.save()
    world.entities[code] = entity


def make_customer(world: World, given: Args) -> None:
    """A customer with its claims."""
    fields = {key: value for key, value in given.items() if key not in ("id", "name", "subjects")}
    code = given["id"]
    _new("customer", Customer.objects.filter(external_id=code).exists(), code)
    customer = Customer(external_id=code, **{"legal_name": given.get("name", code), **fields})
    customer.full_clean()
    customer.save()
    world.customers[code] = customer
    for claim in given.get("subjects", [code]):
        said: Args = {"subject": claim} if isinstance(claim, str) else claim
        bounds = {name: world.instant(said[key]) for key, name in (("from", "valid_from"), ("to", "valid_to"))
                  if key in said}  # fmt: skip
        claim_subject(customer=customer, subject=said["subject"], **bounds)


def make_unit(world: World, given: Args) -> None:
    """A custom unit with its rates."""
    _new("custom unit", CustomUnit.objects.filter(code=given["code"]).exists(), given["code"])
    unit = CustomUnit(**({"name": given["code"]} | {key: each for key, each in given.items() if key != "rates"}))
    unit.full_clean()
    unit.save()
    for rate in given.get("rates", []):
        make_rate(unit, rate)


def make_rate(unit: CustomUnit, given: Args) -> None:
    """What a unit is worth from a day on."""
    rate = ConversionRate(unit=unit, currency=given["currency"], rate=given["rate"], valid_from=given["from"])
    rate.full_clean()
    rate.save()


def make_meter(world: World, given: Args) -> None:
    """A meter, checked as its form does."""
    _new("meter", Meter.objects.filter(code=given["code"]).exists(), given["code"])
    meter = Meter(**({"name": given["code"]} | given))
    check_meter(meter)
    meter.full_clean()
    meter.save()


def make_plan(world: World, given: PlanFile) -> PlanVersion:
    """The next version of a plan, published."""
    return publish(version=import_plan(given), user=None, now=world.now, reason=WHY)


def make_contract(world: World, given: Args) -> None:
    """An active contract with its subscriptions and their own terms."""
    customer, entity = world.customer(given), world.entity(given)
    number = given["number"]
    _new("contract", Contract.objects.filter(number=number).exists(), number)
    fields = {key: value for key, value in given.items() if key not in ("customer", "entity", "subscriptions")}
    defaults = {"currency": customer.currency, "timezone": customer.timezone}
    contract = Contract(customer=customer, entity=entity, **(defaults | fields))
    contract.full_clean()
    contract.save()
    world.contracts[number] = activate_contract(contract=contract)
    for each in given.get("subscriptions", []):
        make_subscription(world, world.contracts[number], each)


def make_subscription(world: World, contract: Contract, given: Args) -> Subscription:
    """A subscription of a contract with its own terms."""
    version = version_of(given)
    assert version is not None  # a subscription names a plan
    code = given.get("code", "main")
    subscription = subscribe(
        contract=contract, version=version, code=code, start=given.get("start", contract.start), now=world.now,
        end=given.get("end"), **({"quantity": given["quantity"]} if "quantity" in given else {}),
    )  # fmt: skip
    world.subscriptions[f"{contract.number}/{code}"] = subscription
    for each in given.get("terms", []):
        make_term(world, subscription, each)
    return subscription


def make_term(world: World, subscription: Subscription, given: Args) -> SubscriptionTerm:
    """A customer's own term; by its name, later steps find it."""
    term = terms.set_term(
        subscription=subscription, kind=given["kind"], value=given.get("value", {}), start=given["from"],
        end=given.get("until"), periods=given.get("periods"), code=given.get("charge", ""),
        meter=meter_of(given["meter"]) if "meter" in given else None, reason=given.get("reason", WHY), user=None,
        now=world.now,
    )  # fmt: skip
    remember(world, "term", given, term)
    return term


def remember(world: World, kind: str, given: Args, thing: Any) -> None:
    """Keep a thing under the name that a step gave it, if it did."""
    if "name" in given:
        world.named[kind, given["name"]] = thing

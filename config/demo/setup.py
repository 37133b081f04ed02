"""The start of the story: the company, its catalog, its customers with their contracts and subscriptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import User

from billing.catalog.models import PlanVersion
from billing.catalog.services import subscribe
from billing.invoicing.holds.models import UsageTolerance
from billing.metering.services import create_api_key
from config.demo import company, taxes
from config.demo.people import Person
from config.demo.story import Story, note, once
from config.demo.usage import SOURCE, begin_of
from customers.models import Contract, Customer, LegalEntity
from customers.services import activate_contract, claim_subject

KEY_NAME = "Inference gateway"
CHEAPER_FROM = 6  # the month of the story in which Scale's second version comes into force


@dataclass(frozen=True, slots=True)
class _World:
    """What contracts refer to."""

    story: Story
    entities: Mapping[str, LegalEntity]
    versions: Mapping[str, PlanVersion]


def set_up(story: Story, people: Sequence[Person]) -> None:
    """Make everything that stands before the first event, in one transaction; nothing when it stands already."""
    with once("set up") as fresh:
        if not fresh:
            return
        now = story.at(story.month(0), 0) - timedelta(days=14)
        logins = company.make_logins()
        world = _World(story, company.make_entities(), company.make_catalog(user=logins["revops"], now=now))
        taxes.set_up(entity=world.entities["lumen-eu"], start=story.month(-1), user=logins["finance"], now=now)
        _, secret = create_api_key(name=KEY_NAME, default_source=SOURCE, user=logins["engineer"], now=now)
        note("api key", {"secret": secret})
        UsageTolerance.objects.create()  # no limit: of few events, one that cannot be read is soon more than 1 %
        for person in people:
            _sign_up(world, person, logins["revops"])


def _sign_up(world: _World, person: Person, user: User) -> None:
    """A customer with its usage subjects, its contract and what it subscribed to."""
    customer = Customer.objects.create(
        external_id=person.code, legal_name=person.legal_name, emails=[f"ap@{person.domain}"],
        address_line1=person.address, postal_code=person.postal_code, city=person.city, region=person.region,
        country=person.country, tax_id=person.tax_id, currency=person.currency, timezone=person.timezone,
        locale=person.locale,
    )  # fmt: skip
    for subject in person.subjects:
        claim_subject(customer=customer, subject=subject)
    start = begin_of(world.story, person)
    entity = world.entities[company.entity_code(person.currency)]
    now = world.story.at(start, 0) - timedelta(days=3)
    taxes.treat_abroad(customer=customer, person=person, entity=entity, start=start, user=user, now=now)
    contract = Contract.objects.create(
        number=person.number, customer=customer, entity=entity,
        start=start, currency=person.currency, cadence=person.cadence, anchor_day=person.anchor_day,
        timezone=person.timezone, net_days=person.net_days,
        po_number=f"PO-{4_500 + customer.pk}" if person.plan == "enterprise" else "",
    )  # fmt: skip
    activate_contract(contract=contract)
    subscribe(
        contract=contract, version=world.versions[person.plan], code="inference", start=start, now=now,
        quantity=Decimal(person.seats),
    )  # fmt: skip
    if person.vision:
        subscribe(contract=contract, version=world.versions["vision"], code="vision", start=start, now=now)

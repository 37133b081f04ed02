"""What a scenario made, by the names that its file gives: the steps find everything here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.terms.models import SubscriptionTerm
from billing.metering.models import Meter
from billing.periods import local_date, local_midnight
from config.scenario.errors import Refused
from config.scenario.reading import listing, suggestion
from customers.models import Contract, Customer, LegalEntity

Args = dict[str, Any]
"""What a step says, read: by key, what is left out is not there."""
Answer = dict[str, Any]
"""What a step or a question gives, as JSON: texts, numbers, lists and objects."""


@dataclass
class World:
    """The things of one run of a scenario, and its clock. `zone` is that of its dates."""

    zone: str
    now: datetime
    entities: dict[str, LegalEntity] = field(default_factory=dict)
    customers: dict[str, Customer] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    named: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Own terms, corrections, moves and whatever else a step gave a name to, by kind and name."""
    place: str = ""
    """Where in the file the present step stands: what it makes without an id is named by it."""

    def today(self) -> date:
        """The day that the scenario's clock shows."""
        return local_date(self.now, self.zone)

    def instant(self, at: date | datetime) -> datetime:
        """An instant; a day begins at midnight in the scenario's zone."""
        return at if isinstance(at, datetime) else local_midnight(at, self.zone)

    def entity(self, args: Args) -> LegalEntity:
        """The legal entity that is named, or the only one."""
        found: LegalEntity = _the("entity", self.entities, args)
        return found

    def customer(self, args: Args) -> Customer:
        """The customer that is named, or the only one."""
        found: Customer = _the("customer", self.customers, args)
        return found

    def contract(self, args: Args) -> Contract:
        """The contract that is named, or the only one, as it stands in the database."""
        found = _the("contract", self.contracts, args)
        return Contract.objects.select_related("customer", "entity").get(pk=found.pk)

    def subscription(self, args: Args) -> Subscription:
        """The subscription that is named, or the only one."""
        found = _the("subscription", self.subscriptions, args)
        return Subscription.objects.select_related("contract__customer", "product").get(pk=found.pk)

    def term(self, args: Args) -> SubscriptionTerm:
        """The own term that is named; what became of it where it was ended before."""
        found: SubscriptionTerm = self.named["term", args["term"]]
        while after := found.replaced_by.order_by("-id").first():
            found = after
        return found

    def contract_ids(self, args: Args) -> list[int]:
        """The contracts that are meant: the one named, those of the customer named, or all of the scenario."""
        if "contract" in args:
            return [self.contract(args).pk]
        owner = self.customers[args["customer"]].pk if "customer" in args else None
        return [each.pk for each in self.contracts.values() if owner in (None, each.customer_id)]


def _the(kind: str, known: dict[str, Any], args: Args) -> Any:
    name = args.get(kind)
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name in known:
        return known[name]
    if name is None:
        raise Refused(f"Say which {kind}: {listing(kind, list(known))}.")
    raise Refused(f"There is no {kind} “{name}”{suggestion(name, known)}; {listing(kind, list(known))}.")


def meter_of(code: str) -> Meter:
    """The current version of a meter."""
    found = Meter.objects.current().filter(code=code).first()
    if found is None:
        raise Refused(f"There is no meter “{code}”.")
    return found


def version_of(args: Args) -> PlanVersion | None:
    """The plan version that is named: `version`, or the latest that is published; None where no plan is named."""
    if "plan" not in args:
        return None
    versions = PlanVersion.objects.filter(plan__code=args["plan"]).select_related("plan__product").order_by("-number")
    number = args.get("version")
    found = versions.filter(number=number).first() if number else versions.filter(state="published").first()
    if found is None and number is None:
        found = versions.first()
    if found is None:
        raise Refused(f"The plan “{args['plan']}” has no version {number}." if number else f"No plan “{args['plan']}”.")
    return found


Act = Callable[[World, Any], Answer]
"""Takes the value of its step, which mostly is an object."""

"""What tax the demo's sellers compute: the GmbH German VAT at home and none abroad, the Inc. none at all."""

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User

from billing.invoicing.taxes.services import set_rate
from config.demo.people import Person
from customers.models import Customer, LegalEntity
from customers.taxation.models import TaxTreatment
from customers.taxation.services import set_up_tax, treat

HOME: Final = "DE"
UNION: Final = {"BG", "EE", "ES", "FR", "GR", "IE", "IT", "NL", "PL", "SK"}  # those that the demo sells to
REVERSED: Final = "Reverse charge: the customer is liable for the VAT (Art. 196 of Directive 2006/112/EC)."
ABROAD: Final = "Not taxable in Germany (§ 3a Abs. 2 UStG)."


def set_up(*, entity: LegalEntity, start: date, user: User, now: datetime) -> None:
    """Let the German seller compute VAT from a day on."""
    set_rate(
        code="de-vat", name="USt", country=HOME, percentage=Decimal(19), start=start, reason="§ 12 Abs. 1 UStG",
        user=user, now=now,
    )  # fmt: skip
    set_up_tax(entity=entity, start=start, reason="Registered in Berlin", user=user, now=now)


def treat_abroad(
    *, customer: Customer, person: Person, entity: LegalEntity, start: date, user: User, now: datetime
) -> None:
    """Say of a customer of the German seller who is at home elsewhere that it pays no German VAT, and why."""
    if entity.country != HOME or person.country == HOME:
        return
    inside = person.country in UNION
    treatment = TaxTreatment.Treatment.REVERSE_CHARGE if inside else TaxTreatment.Treatment.EXEMPT
    treat(
        customer=customer, entity=entity, start=start, treatment=treatment, note=REVERSED if inside else ABROAD,
        reason="VAT number checked" if inside else "Seat outside the EU", user=user, now=now,
    )  # fmt: skip

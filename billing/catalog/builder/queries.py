"""A real customer's usage, for a worked example."""

from datetime import date
from decimal import Decimal

from billing.metering.models import Meter
from billing.metering.queries import quantities
from billing.periods import Period, local_midnight
from customers.models import Customer


def month_of(text: str, timezone: str) -> Period:
    """A calendar month (“2023-11”) in a time zone; ValueError with a sentence for what is none."""
    try:
        first = date.fromisoformat(f"{text}-01")
        after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    except ValueError:
        raise ValueError(f"“{text}” is no month: write it like 2023-11.") from None
    return Period(local_midnight(first, timezone), local_midnight(after, timezone))


def used(customer: Customer, meter: Meter, period: Period) -> Decimal:
    """What the customer used of the meter in the period; 0 without events. Two queries."""
    rows = quantities(customer_ids=[customer.pk], meters=[meter], period=period, timezone=customer.timezone)
    return rows[0].quantity.value if rows else Decimal(0)

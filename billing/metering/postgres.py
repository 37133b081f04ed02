"""The event store on PostgreSQL: what `billing.metering.interface` asks for, gathered from the modules that do it."""

from billing.metering.append import append
from billing.metering.listing import events_of
from billing.metering.one_by_one import in_order, newest
from billing.metering.store import breakdown, quantities, values

__all__ = ["append", "breakdown", "events_of", "in_order", "newest", "quantities", "values"]

"""Meters: what each reads from an event, as SQL, and how one is checked, revised and tried before it is saved."""

from billing.metering.meters.checking import check_meter
from billing.metering.meters.counting import Counted, counted, dimension, reason
from billing.metering.meters.fragments import Fragment

__all__ = ["Counted", "Fragment", "check_meter", "counted", "dimension", "reason"]

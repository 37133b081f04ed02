"""Whether a meter can count, with a sentence for each field that must be corrected."""

from billing.metering.definitions import meter_problems
from billing.metering.errors import MeterError
from billing.metering.models import Meter


def check_meter(meter: Meter) -> None:
    """Raise MeterError, with a sentence per field, unless the meter's definition can count."""
    problems = meter_problems(meter.written())
    if not meter.event_type.strip():
        problems["event_type"] = "Name the type of event that counts, e.g. inference."
    if problems:
        raise MeterError(problems)

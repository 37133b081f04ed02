"""What a meter makes of an event `e`, as the pieces of a statement."""

from dataclasses import dataclass
from typing import Final

from billing.metering.meters import Fragment, counted, reason
from billing.metering.models import Meter

NOT_VOIDED: Final = "NOT EXISTS (SELECT 1 FROM metering_voided v WHERE v.batch = e.batch AND v.n = e.n)"


@dataclass(frozen=True, slots=True)
class Judged:
    """Conditions beginning with AND; the value `c.value` as a join; whether it is valid; why not, as text or NULL."""

    filters: Fragment
    lateral: Fragment
    valid: str
    reason: Fragment


def judged(meter: Meter) -> Judged:
    """The pieces for a meter."""
    count = counted(meter)
    lateral = Fragment(
        f"CROSS JOIN LATERAL (SELECT {count.value.sql} AS value, {count.adds.sql} AS adds OFFSET 0) c",
        (*count.value.values, *count.adds.values),
    )
    return Judged(count.filters, lateral, count.valid, reason(meter))

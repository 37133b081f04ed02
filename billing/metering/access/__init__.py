"""Who may use the API: keys are recognised, held to their scope and limit, and every refused use is counted.

For any view or front: `authenticate` with the header, `charge` before what is sent is stored, and `Refusal` as the
answer of both. `ask` runs the few queries, by default at once on the caller's connection.
"""

from billing.metering.access.known import Ask, KnownKey, at_once, authenticate, forget
from billing.metering.access.limits import charge, delay

__all__ = ["Ask", "KnownKey", "at_once", "authenticate", "charge", "delay", "forget"]

"""What can be wrong with a scenario itself, and which failures of the product are answers and no faults."""

from typing import Final

from django.core.exceptions import ValidationError

from billing.catalog.errors import CatalogError
from billing.catalog.terms.errors import TermsError
from billing.cycles import InvalidAnchor, InvalidCadence
from billing.invoicing.errors import InvoicingError
from billing.metering.corrections.errors import CorrectionError
from billing.metering.errors import DefinitionError, MeteringError
from billing.moves.errors import MoveError
from billing.payments.errors import PaymentsError
from billing.periods import UnknownTimezone
from billing.pricing import PriceError
from config.scenario.reading import Problem
from customers.errors import CustomerError
from revenue.ledger.errors import LedgerError


class ScenarioError(Exception):
    """A file that is no scenario; `problems` names each place and the way out."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class Refused(Exception):
    """What a step asks for cannot be done; the message says why."""


REFUSALS: Final = (
    Refused, CatalogError, TermsError, InvalidAnchor, InvalidCadence, InvoicingError, CorrectionError, DefinitionError,
    MeteringError, MoveError, PaymentsError, UnknownTimezone, PriceError, CustomerError, LedgerError, ValidationError,
)  # fmt: skip
"""What the product answers when it does not do what it is asked."""


def sentence(error: Exception) -> str:
    """What a refusal says, in one line."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return " ".join(str(error).split())

"""What can go wrong with a correction, named; each message says the way out."""

from billing.metering.errors import MeteringError


class CorrectionError(MeteringError):
    """Base of all failures of corrections."""


class CriteriaError(CorrectionError):
    """Criteria or changes that cannot be meant; `field` names the one at fault."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class NothingToCorrect(CorrectionError):
    """No event that counts meets the criteria."""

    def __init__(self) -> None:
        super().__init__("No event that counts meets these criteria; check them, or whether it was corrected before.")


class SelectionChanged(CorrectionError):
    """Other events meet the criteria now than when they were shown."""

    def __init__(self, shown: int, found: int) -> None:
        super().__init__(f"{shown:,} events were shown, and {found:,} meet the criteria now; look at them again first.")


class CannotUndo(CorrectionError):
    """A correction that cannot be taken back as it stands."""

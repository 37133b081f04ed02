"""What can go wrong with alerts."""

from billing.metering.errors import MeteringError


class AlreadyAcknowledged(MeteringError):
    """An alert that somebody looked into before."""

    def __init__(self, name: str) -> None:
        super().__init__(f"“{name}” is acknowledged already; nothing needs to be done.")

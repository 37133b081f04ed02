"""What can go wrong with uploaded files and pull sources, named; each message says what it concerns and the way out."""

from billing.metering.errors import MeteringError


class SourceError(MeteringError):
    """Base of all business failures of uploads and pull sources."""


class UnreadableFile(SourceError):
    """A file that holds no rows that can be read."""


class NotNow(SourceError):
    """A step that an upload or a source is not ready for; nothing was done."""


class LeaseLost(SourceError):
    """The work was taken over by another process, after this one had been silent for too long."""

    def __init__(self) -> None:
        super().__init__("Another worker has taken this over; nothing needs to be done.")


class RefusedAddress(SourceError):
    """An address, an option or a query that may not be used."""


class UnsetVariable(SourceError):
    """A ${NAME} whose environment variable is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The environment variable {name} is not set; set it for the web server and the worker, and restart both."
        )


class SourceUnreachable(SourceError):
    """A folder, bucket or database that does not answer, or not as it should."""

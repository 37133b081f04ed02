"""What can go wrong in metering, named; each message says what it concerns and the way out."""

from collections.abc import Sequence


class MeteringError(Exception):
    """Base of all business failures of metering."""


class UnreadableBody(MeteringError):
    """A request's body that cannot be read as events at all; `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class TooManyEvents(MeteringError):
    """More events in one request than are taken at once."""

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"The request holds {count:,} events; send at most {limit:,} at a time.")


class TooManyNewMonths(MeteringError):
    """Events in more months that hold none yet than are made at once; `months` are those left over, as “1999-11”."""

    def __init__(self, months: Sequence[str]) -> None:
        self.months = frozenset(months)
        super().__init__(f"{len(months):,} months hold no events yet; send those before {max(months)} by themselves.")


class KeyAlreadyRevoked(MeteringError):
    """An API key that was revoked before."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The API key “{name}” is revoked already; nothing needs to be done.")


class MeterError(MeteringError):
    """A meter's definition that cannot count anything; `problems` maps each field to its sentence."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems.values()))


class ImportMappingError(MeteringError):
    """A file and a mapping that do not fit together; the message names the column and what exists instead."""


class KeyEnded(MeteringError):
    """An API key that is to be replaced although it has ended already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The API key “{name}” has ended already; make a new one instead of replacing it.")


class Refusal(MeteringError):
    """An answer that ends a request: status, code, sentence, and headers that belong to it."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class DefinitionError(MeteringError, ValueError):
    """Input that cannot be measured: `code` for programs, `message` with the way out, `path` to the place.

    Codes: not_an_object, not_a_list, missing_key, unknown_key, invalid_choice, invalid_number, out_of_range,
    invalid_expression, invalid_path, invalid_filter, invalid_id, invalid_text, invalid_time, time_without_zone,
    invalid_period, unknown_timezone, not_allowed.
    """

    def __init__(self, code: str, message: str, path: str) -> None:
        self.code = code
        self.message = message
        self.path = path
        super().__init__(f"{path}: {message}")

    def to_json(self) -> dict[str, str]:
        """The error as commands answer it."""
        return {"code": self.code, "message": self.message, "path": self.path}


class MeterSuperseded(MeteringError):
    """A version of a meter that a newer one took the place of."""

    def __init__(self, code: str, version: int, current: int) -> None:
        super().__init__(f"Version {version} of the meter “{code}” stays as it is; change version {current}.")


class PreviewTooSlow(MeteringError):
    """The latest events of a type were not found in the time that a page may take."""

    def __init__(self, event_type: str) -> None:
        super().__init__(
            f"Events of type “{event_type}” were not found in time. You can save without; try the preview later."
        )

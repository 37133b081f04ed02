"""Business failures of the catalog, each with a sentence that names the thing and the way out."""

from collections.abc import Sequence
from dataclasses import dataclass


class CatalogError(ValueError):
    """Base of this package's failures."""


class Unpublished(CatalogError):
    """A draft version cannot be subscribed to."""

    def __init__(self, version: object) -> None:
        super().__init__(f"{version} is a draft: publish it, then subscribe customers to it.")


class Overlap(CatalogError):
    """Two things would be billed for the same time."""


class Retired(CatalogError):
    """A retired version takes no new subscriptions."""

    def __init__(self, version: object) -> None:
        super().__init__(f"{version} is retired: subscribe customers to a newer version.")


class NeedsReason(CatalogError):
    """Publication has warnings, and nobody said why it should happen in spite of them."""

    def __init__(self, version: object, warnings: Sequence[str]) -> None:
        self.warnings = list(warnings)
        super().__init__(f"{' '.join(warnings)} To publish {version} in spite of this, give a reason.")


class NothingToImport(CatalogError):
    """A file says what the latest version of its plan says already."""

    def __init__(self, version: object) -> None:
        super().__init__(f"There is nothing to import: {version} has exactly these charges and prices.")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a place of a plan file."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class PlanFileError(CatalogError):
    """A plan file that cannot be imported; `problems` names each place and the way out."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))

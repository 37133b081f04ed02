"""Business failures of the catalog, each with a sentence that names the thing and the way out."""


class CatalogError(ValueError):
    """Base of this package's failures."""


class Unpublished(CatalogError):
    """A draft version cannot be subscribed to."""

    def __init__(self, version: object) -> None:
        super().__init__(f"{version} is a draft: publish it, then subscribe customers to it.")


class Overlap(CatalogError):
    """Two things would be billed for the same time."""

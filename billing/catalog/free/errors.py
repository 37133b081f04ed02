"""What can be wrong with a trial or a pause, said so that whoever made it can mend it."""

from billing.catalog.errors import CatalogError


class FreeTimeError(CatalogError):
    """A trial or a pause that cannot be made, ended or undone."""

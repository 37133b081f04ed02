"""What can be wrong with a customer's own terms, said so that whoever made them can mend them."""

from billing.catalog.errors import CatalogError


class TermsError(CatalogError):
    """A term that cannot be made, or does not fit what is in force."""


class NoPrice(TermsError):
    """A charge has no price in the contract's currency."""

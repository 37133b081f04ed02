"""Business failures of taxes: each holds the contract, and names the thing and the way out."""

from datetime import date

from billing.invoicing.errors import InvoicingError


class TaxError(InvoicingError):
    """The tax of a line cannot be told."""

    code = "tax"


class UnknownTax(TaxError):
    """The table has no rate for a tax code at a place on a day."""

    def __init__(self, code: str, place: str, day: date) -> None:
        what = f"tax code “{code}”" if code else "what has no tax code"
        super().__init__(
            f"The table of tax rates has none for {what} in {place} on {day}: add the rate (0 % where nothing is due), "
            "or correct the tax code of the charge or the product."
        )


class UnknownProvider(TaxError):
    """A legal entity names a provider of taxes that is not configured."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no tax provider “{name}”: add it to the setting TAX_PROVIDERS, or choose another on the page of "
            "the legal entity."
        )


class ProviderFailed(TaxError):
    """A provider of taxes did not answer."""

    def __init__(self, name: str, error: Exception) -> None:
        said = " ".join(str(error).split()) or type(error).__name__
        super().__init__(f"The tax provider “{name}” failed: {said[:300]} Run billing again once it answers.")

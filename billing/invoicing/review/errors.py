"""Who may not approve."""

from collections.abc import Iterable

from billing.invoicing.errors import InvoicingError


class PreparedByApprover(InvoicingError):
    """Four eyes: whoever prepared a draft does not approve it."""

    def __init__(self, invoice: object, entity: object, what: Iterable[str]) -> None:
        super().__init__(
            f"You prepared {invoice} ({', '.join(what)}), and {entity} wants four eyes: let somebody else approve it."
        )


class NobodyApproves(InvoicingError):
    """Four eyes: an approval needs a person, or a policy."""

    def __init__(self, invoice: object, entity: object) -> None:
        super().__init__(f"{entity} wants four eyes: somebody who did not prepare {invoice} approves it, or a policy.")


class NoOverride(InvoicingError):
    """Only a superuser overrides."""

    def __init__(self) -> None:
        super().__init__("Only a superuser may override four eyes: let somebody else approve it.")

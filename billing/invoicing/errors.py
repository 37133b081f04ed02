"""Business failures of invoicing, each with a sentence that names the thing and the way out."""


class InvoicingError(ValueError):
    """Base of this package's failures; `code` says what kind, where it holds a contract."""

    code = ""


class BadTerms(InvoicingError):
    """What a contract binds cannot be read: a price is missing, or a customer's own term does not fit."""

    code = "terms"


class CannotRate(InvoicingError):
    """A price cannot rate what it is given."""

    code = "cannot_rate"

    def __init__(self, charge: str, problem: str) -> None:
        super().__init__(f"{charge} cannot be priced: {problem}")


class NegativeTotal(InvoicingError):
    """The delta of a contract is negative: it waits for charges that outweigh it."""

    code = "credits_wait"

    def __init__(self, total: str) -> None:
        super().__init__(
            f"Credits outweigh charges by {total}: they wait for a later invoice that they can be set against."
        )


class WrongState(InvoicingError):
    """An invoice cannot make this move from the state it is in."""

    def __init__(self, invoice: object, state: str, wanted: str) -> None:
        super().__init__(f"Invoice {invoice} is {state}, so it cannot be {wanted}.")


class StaleDraft(InvoicingError):
    """A draft was computed from a base that has moved on."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{str(invoice).capitalize()} is out of date: run billing again, then approve it.")


class Unprintable(InvoicingError):
    """Names on an invoice hold characters that its document could not show."""

    def __init__(self, invoice: object, characters: list[str]) -> None:
        super().__init__(
            f"The document of {invoice} cannot show “{''.join(characters)}”: write the names with other characters."
        )


class LaterInvoice(InvoicingError):
    """A later invoice stands on this one."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"A later invoice builds on {invoice}: send that one back first.")


class NotIssued(InvoicingError):
    """Only an issued invoice has a document."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{str(invoice).capitalize()} is not issued: issue it first, or look at its preview.")


class RenderFailed(InvoicingError):
    """A document could not be drawn as it should look."""


class GlyphsMissing(RenderFailed):
    """The documents' font cannot draw some characters; `characters` are they."""

    def __init__(self, characters: list[str]) -> None:
        self.characters = characters
        shown = ", ".join(f"“{char}” (U+{ord(char):04X})" for char in characters)
        super().__init__(
            f"The font of the documents cannot draw {shown}. Write the name, address or description that has "
            "them in Latin, Greek, Cyrillic, Japanese, Chinese or Korean characters."
        )


class DocumentDamaged(InvoicingError):
    """A stored file is not the one that was rendered, and drawing it anew gives another."""

    def __init__(self, invoice: object, file: str) -> None:
        super().__init__(
            f"The file {file} of invoice {invoice} is missing or was changed, and drawing it again does not give the "
            "same file: restore it from a backup."
        )

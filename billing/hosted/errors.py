"""What is wrong with a link or a question."""


class HostedError(Exception):
    """The sentence names the thing and the way out, in English; `key` names it in the customer's words."""

    key = ""


class LinkAltered(HostedError):
    """Not one of ours, or not as it was made."""

    key = "altered"

    def __init__(self) -> None:
        super().__init__("This address is not complete: open the link as it stands in the e-mail.")


class LinkOver(HostedError):
    """Expired or revoked: `key` tells which, and `language` whose words to use."""

    def __init__(self, key: str, locale: str, seller: str) -> None:
        super().__init__(f"This link has {key}: ask {seller} for a new one.")
        self.key, self.locale, self.seller = key, locale, seller


class NotHosted(HostedError):
    """Only issued documents have a page for the customer."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{str(invoice).capitalize()} is not issued yet: customers see issued documents only.")


class TooManyQuestions(HostedError):
    """More questions by one link than a person asks."""

    key = "too_many"

    def __init__(self) -> None:
        super().__init__("Many questions came by this link within the hour: wait an hour, or write to the seller.")


class NoSuchMove(HostedError):
    """A dispute that is settled, or a blank answer."""

"""Business failures of write-offs, each with a sentence that names the thing and the way out."""

from billing.payments.errors import PaymentsError


class NothingOpen(PaymentsError):
    """Only what is open on an issued invoice is written off."""

    def __init__(self, invoice: object, amount: str, left: str) -> None:
        super().__init__(f"{amount} is more than the {left} that {invoice} has open: write off what is open at most.")


class NotIssued(PaymentsError):
    """A draft, or a credit note."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"{invoice} is no issued invoice: only what a customer owes can be written off.")


class ReasonMissing(PaymentsError):
    """Auditors ask."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Say why it is {what}: the reason is kept with it.")


class WaitsAlready(PaymentsError):
    """One request at a time."""

    def __init__(self, invoice: object) -> None:
        super().__init__(f"A write-off of {invoice} waits for approval already: approve or decline that one first.")


class NotYourOwn(PaymentsError):
    """Four eyes."""

    def __init__(self, write_off: object) -> None:
        super().__init__(f"You asked for the {write_off}: somebody else must approve it.")


class AlreadyDecided(PaymentsError):
    """Pressed twice, or by two people."""

    def __init__(self, write_off: object, state: str) -> None:
        super().__init__(f"The {write_off} is “{state}” already: nothing was changed.")

"""What a run refuses, and what makes a worker stop, each with a sentence."""

from billing.invoicing.errors import InvoicingError


class RunOver(InvoicingError):
    """A run that has ended cannot be cancelled."""

    def __init__(self, run: object, state: str) -> None:
        super().__init__(f"{str(run).capitalize()} is {state.lower()}: there is nothing left to cancel.")


class NothingToRepeat(InvoicingError):
    """A run none of whose contracts is held or failed."""

    def __init__(self, run: object) -> None:
        super().__init__(f"Nothing is held or failed in {run}: there is nothing to bill again.")


class WorkerDied(InvoicingError):
    """A customer whose computation ended the worker's process, again and again."""

    def __init__(self, attempts: int) -> None:
        super().__init__(
            f"The worker died {attempts} times while it billed this customer: look at its log and at the memory of the"
            " machine, then bill the customer again."
        )


class PayersChanged(InvoicingError):
    """Somebody else came to pay between the locks and the snapshot: the chunk begins again."""

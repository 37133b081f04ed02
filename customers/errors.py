"""Business failures of this app, each with a sentence that names the thing and the way out."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from customers.models import Contract, UsageSubject


class CustomerError(ValueError):
    """Base of this app's failures."""


class ContractNotReady(CustomerError):
    """A contract cannot be put into force; `problems` says why, each as half a sentence."""

    def __init__(self, contract: "Contract", problems: list[str]) -> None:
        self.contract, self.problems = contract, problems
        super().__init__(f"Contract {contract.number} cannot be activated: {'; '.join(problems)}.")


class SubjectTaken(CustomerError):
    """Another claim on a usage subject overlaps; `claim` is that one."""

    def __init__(self, claim: "UsageSubject") -> None:
        self.claim = claim
        since = f"from {claim.valid_from:%Y-%m-%d}" if claim.valid_from else "since ever"
        until = f" to {claim.valid_to:%Y-%m-%d}" if claim.valid_to else ""
        super().__init__(
            f"{claim.customer} claims the subject “{claim.subject}” {since}{until}: end that claim first, or choose "
            "dates outside it."
        )


class OthersContract(CustomerError):
    """A payer is named for a contract that is another customer's."""

    def __init__(self, contract: object, customer: object) -> None:
        super().__init__(f"Contract {contract} is not one of {customer}: name a contract of its own, or none for all.")

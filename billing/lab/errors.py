"""Business failures of the price lab, each with a sentence that names the thing and the way out."""


class LabError(ValueError):
    """Base of this package's failures."""


class NoCandidates(LabError):
    """A trial compares today's terms with something."""

    def __init__(self) -> None:
        super().__init__("Choose at least one candidate: a plan version, a draft, or an edited copy.")


class NobodyToRate(LabError):
    """No contract is in the cohort."""

    def __init__(self) -> None:
        super().__init__(
            "No active contract has a subscription that a candidate replaces in these months and this cohort: "
            "choose other months, a wider cohort, or let candidates replace all plans of their product."
        )


class WrongRunState(LabError):
    """A run cannot make this move from the state it is in."""

    def __init__(self, run: object, state: str, wanted: str) -> None:
        super().__init__(f"{run} is {state.lower()}, so it cannot be {wanted}.")


class LeaseLost(LabError):
    """Another process has taken the run over, or it was cancelled."""


class ExperimentError(LabError):
    """What an experiment refuses."""

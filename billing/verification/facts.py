"""Facts as they were known when lines were computed: usage up to a position, everything else up to a number."""

from collections.abc import Iterable

from billing.invoicing import asking
from billing.invoicing.facts import Facts
from billing.invoicing.usage import Answer, Question
from billing.metering.asking import Known
from billing.metering.queries import claims_of, told_after


class AsKnown(Facts):
    """What was known; used within `customers.knowledge.as_known_at`, which tells of everything but usage.

    Usage of which nothing was told since is read from rollups, other usage from its events.
    """

    def __init__(self, known: Known) -> None:
        self.known = known

    def answers(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """What was used as far as it was known. MonthDetached when events are needed of a month in the archive."""
        asked = dict.fromkeys(questions)
        claims = claims_of({question.customer_id for question in asked})
        told = told_after(self.known, [(each, claims[each.customer_id], each.period) for each in asked])
        found = asking.answers((each for each in asked if each not in told), claims=claims)
        return found | asking.answers(told, claims=claims, known=self.known)

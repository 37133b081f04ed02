"""Four eyes: whoever prepared a draft does not approve it, where its seller wants it so; and the log of the rest."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser

from billing.invoicing.models import Invoice
from billing.invoicing.review.errors import NobodyApproves, NoOverride, PreparedByApprover
from billing.invoicing.review.models import Approval, ApprovalPolicy, Assessment
from billing.invoicing.review.queries import preparations_of


@dataclass(frozen=True, slots=True)
class ByPolicy:
    """A policy that approves a draft, and why."""

    policy: ApprovalPolicy
    why: str


class Eyes:
    """Who may approve some drafts; `keep` writes how they came to be approved, before they are. Two queries."""

    def __init__(
        self, drafts: Sequence[Invoice], user: AbstractBaseUser | None, override: str,
        policies: Mapping[int, ByPolicy],
    ) -> None:  # fmt: skip
        self.user, self.override, self.policies = user, override, policies
        watched = [each.pk for each in drafts if each.entity.four_eyes]
        self.prepared = preparations_of(watched) if watched else {}

    def check(self, draft: Invoice) -> None:
        """PreparedByApprover or NobodyApproves where four eyes are wanted and missing; NoOverride by who may not."""
        if self.override and not getattr(self.user, "is_superuser", False):
            raise NoOverride
        if not draft.entity.four_eyes or draft.pk in self.policies:
            return
        if self.user is None:
            raise NobodyApproves(draft, draft.entity)
        if (mine := self._mine(draft)) and not self.override:
            raise PreparedByApprover(draft, draft.entity, mine)

    def keep(self, drafts: Collection[Invoice], now: datetime) -> None:
        """Log policies and overrides with what was unusual; what review knew of the drafts goes. Three queries."""
        found = dict(Assessment.objects.filter(invoice__in=list(drafts)).values_list("invoice", "findings"))
        kept = [each for draft in drafts if (each := self._approval(draft, now))]
        for each in kept:
            each.findings = found.get(each.invoice_id, [])
        Approval.objects.bulk_create(kept)
        Assessment.objects.filter(pk__in=list(found)).delete()

    def _mine(self, draft: Invoice) -> list[str]:
        """How the user prepared it."""
        prepared = self.prepared.get(draft.pk, ())
        return [each.what for each in prepared if self.user and each.user_id == self.user.pk]

    def _approval(self, draft: Invoice, now: datetime) -> Approval | None:
        if said := self.policies.get(draft.pk):
            return Approval(invoice=draft, kind=Approval.Kind.POLICY, policy=said.policy, reason=said.why[:500], at=now)
        if self.override and draft.entity.four_eyes and self._mine(draft) and self.user:
            return Approval(
                invoice=draft, kind=Approval.Kind.OVERRIDE, user_id=self.user.pk, reason=self.override, at=now
            )
        return None

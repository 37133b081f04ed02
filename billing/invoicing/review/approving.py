"""What is ordinary is approved in the run's wake, by the policy that its seller or customer has, and logged."""

from datetime import datetime

from billing.invoicing import lifecycle
from billing.invoicing.models import Invoice
from billing.invoicing.results import BulkResult
from billing.invoicing.review import rules
from billing.invoicing.review.four_eyes import ByPolicy
from billing.invoicing.review.models import ApprovalPolicy
from billing.invoicing.review.queries import policies_for
from billing.invoicing.states import InvoiceState


def wanted() -> bool:
    """Whether anybody has said what approves itself."""
    return ApprovalPolicy.objects.filter(amount__isnull=False).exists()


def approve_ordinary(*, run_id: int, now: datetime) -> BulkResult:
    """Approve those drafts of a run that are within the limits of their policy; the others stay as they are.

    A second call finds them approved and does nothing. What a draft waits for, or what made it stale, is respected.
    """
    drafts = Invoice.objects.filter(run=run_id, state=InvoiceState.DRAFT, assessment__isnull=False)
    found = list(drafts.select_related("assessment").order_by("id"))
    policies = policies_for(found)
    judged = {each.pk: judge(each, policies[each.pk]) for each in found if each.pk in policies}
    ordinary = {pk: ByPolicy(policies[pk], each.why) for pk, each in judged.items() if each.approves}
    return lifecycle.approve(invoice_ids=list(ordinary), user=None, now=now, policies=ordinary)


def judge(draft: Invoice, policy: ApprovalPolicy) -> rules.Judged:
    """Whether a policy approves a draft that was assessed, and why or why not."""
    limits, known = policy.limits, draft.assessment
    if limits is None:
        return rules.Judged(False, "the policy approves nothing by itself")
    if known.drafted_at != draft.updated_at:
        return rules.Judged(False, "it has changed since it was assessed")
    return rules.judge(limits, draft.total, draft.currency, known.change, [text for _, text in known.findings])

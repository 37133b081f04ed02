"""A draft is edited while somebody approves it, with real parallel connections: all of the edit stands, or none."""

from datetime import date
from decimal import Decimal

import pytest

from billing.invoicing.manual.errors import NotOnDraft
from billing.invoicing.manual.models import ManualLine
from billing.invoicing.manual.services import add_line
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve
from tests.billing.invoicing.test_concurrency import at_once, book
from tests.factories import NOW, bill

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_edit_and_an_approval_at_once_leave_the_whole_edit_or_nothing_of_it() -> None:
    book(4)
    drafts = list(bill("2023-12-01"))
    before = {draft.pk: draft.total for draft in drafts}

    def edit(draft: Invoice) -> bool:
        assert draft.contract is not None
        try:
            add_line(
                contract=draft.contract, text="Workshop", due_on=draft.as_of, first=date(2023, 11, 1),
                last=date(2023, 11, 1), reason="Agreed.", user=None, now=NOW, amount=Decimal(50), invoice_id=draft.pk,
            )  # fmt: skip
        except NotOnDraft:
            return False
        return True

    edited, _ = at_once(
        lambda: [edit(draft) for draft in drafts],
        lambda: approve(invoice_ids=[draft.pk for draft in reversed(drafts)], user=None, now=NOW),
    )
    for draft, done in zip(drafts, edited, strict=True):
        found = Invoice.objects.get(pk=draft.pk)
        assert found.total == before[draft.pk] + (50 if done else 0)
        assert found.total == sum(line.amount for line in found.lines.all())
    assert ManualLine.objects.count() == sum(edited)

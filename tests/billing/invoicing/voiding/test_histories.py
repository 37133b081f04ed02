"""Random histories of usage, credits, voids and runs: a note never exceeds what is left, and everything ties."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Q
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.concessions.queries import rest_of
from billing.invoicing.concessions.services import credit
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing
from billing.invoicing.states import RECORDED
from billing.invoicing.voiding.models import Waiver
from billing.invoicing.voiding.services import bill_after_all, void
from billing.payments.queries import open_amount
from billing.verification.services import verify
from customers.models import Contract
from revenue.ledger.services import post_documents
from revenue.ledger.ties import ties
from tests.billing.saying import say
from tests.factories import NOW, fee, make_contract, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
DAY = date(2023, 12, 1)
STEP = st.one_of(
    st.tuples(st.just("use"), st.integers(-100, 500), st.just(0)),
    st.tuples(st.just("seats"), st.integers(0, 29), st.integers(1, 3)),
    st.tuples(st.just("bill"), st.just(0), st.just(0)),
    st.tuples(st.just("credit"), st.integers(0, 5), st.integers(1, 15)),
    st.tuples(st.just("void"), st.integers(0, 5), st.integers(0, 1)),
    st.tuples(st.just("after all"), st.integers(0, 5), st.just(0)),
)


class History:
    """A contract with seats at USD 1 a day of November, tokens at USD 0.01, and what is done to it.

    Whatever is refused in words leaves everything as it was.
    """

    def __init__(self) -> None:
        self.contract: Contract = make_contract()
        self.refused: list[str] = []
        seats = fee("seats") | {"price": {"model": "per_unit", "unit_amount": "30"}}
        self.version = make_version(seats, usage())
        self.subscription = make_subscription(self.contract, self.version)
        self.used, self.changes = 0, dict[date, int]()
        self.use(1000)
        self.bill()

    def use(self, tokens: int) -> None:
        """Usage of November, taken back where negative."""
        self.used += tokens
        send_events(subject=self.contract.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": tokens})

    def bill(self) -> None:
        """Run, approve and issue all that stands."""
        run_billing(as_of=DAY, now=NOW, contract_ids=[self.contract.pk], full=True)
        for act, state in ((approve, "draft"), (issue, "approved")):
            ids = list(self.invoices().filter(state=state).values_list("pk", flat=True))
            act(invoice_ids=ids, user=None, now=NOW)

    def invoices(self) -> Any:
        """All of them, in order."""
        return Invoice.objects.filter(customer=self.contract.customer).order_by("pk")

    def do(self, what: str, which: int, much: int) -> None:
        """A step; `which` chooses an invoice."""
        sent = list(self.invoices().filter(state__in=["issued", "void"]))
        chosen, who = sent[which % len(sent)], {"reason": "Random", "user": None, "now": NOW}
        try:
            match what:
                case "use":
                    self.use(which)
                case "seats":
                    when = date(2023, 11, 1) + timedelta(which)
                    say(subscription=self.subscription, at=when, quantity=Decimal(much), now=NOW)
                    self.changes[when] = much
                case "bill":
                    self.bill()
                case "credit":
                    line = chosen.lines.order_by("position")[much % chosen.lines.count()]
                    credit(invoice_id=chosen.pk, amounts={line.pk: Decimal(much)}, **who)
                case "void":
                    void(invoice_id=chosen.pk, bill_again=bool(much), **who)
                case "after all":
                    bill_after_all(invoice_id=chosen.pk, **who)
        except InvoicingError as error:
            self.refused.append(str(error))

    def check(self) -> None:
        """Nothing stands below zero, what is void stands for nothing, and all is what its facts come to."""
        for invoice in self.invoices().filter(state__in=["issued", "void"], kind="invoice"):
            assert open_amount(invoice) >= 0
            assert invoice.state == "issued" or open_amount(invoice) == 0
            charged = invoice.lines.exclude(kind="one_off").exclude(kind="recurring", corrects__isnull=False)
            for line in charged if invoice.state == "issued" else ():
                assert rest_of([line])[line.pk] * line.amount >= 0
                assert left(line) >= 0
        if not Waiver.objects.filter(contract=self.contract, superseded_at=None).exists():
            lines = InvoiceLine.objects.filter(invoice__in=self.invoices())
            plain = lines.exclude(slot__dimensions__has_key="concession")
            assert sum(plain.values_list("amount", flat=True), Decimal(0)) == self.worth()
        ids = [each.pk for each in self.invoices().exclude(state="draft")]
        assert {(each.result, tuple(each.reasons)) for each in verify(invoice_ids=ids)} <= {("equal", ())}

    def worth(self) -> Decimal:
        """What seats and tokens come to, told by hand."""
        seats, days = 1, []
        for day in (date(2023, 11, 1) + timedelta(number) for number in range(30)):
            seats = self.changes.get(day, seats)
            days.append(seats)
        return Decimal(sum(days) + 30 * seats) + Decimal(self.used) / 100


def left(line: InvoiceLine) -> Decimal:
    """What a line, or the slot of usage that it is of, comes to by now, with every credit of it that was issued."""
    recorded = InvoiceLine.objects.filter(invoice__state__in=RECORDED)
    of = {"line__slot": line.slot_id} if line.slot_id else {"line": line.pk}
    keys = [str(key) for key in Adjustment.objects.filter(**of).values_list("pk", flat=True)]
    credits = recorded.filter(slot__dimensions__concession__in=keys)
    own = (
        recorded.filter(slot=line.slot_id)
        if line.slot_id
        else recorded.filter(Q(pk=line.pk) | Q(corrects=line, slot=None))
    )
    return sum((each.amount for each in [*own, *credits]), Decimal(0))


@settings(
    max_examples=6, phases=[Phase.reuse, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(STEP, min_size=3, max_size=9))
def test_whatever_is_credited_and_voided_ties_and_is_billed_once(steps: list[tuple[str, int, int]]) -> None:
    history = History()
    for step in steps:
        history.do(*step)
    history.bill()
    history.check()
    run_billing(as_of=DAY, now=NOW, contract_ids=[history.contract.pk], full=True)
    assert not history.invoices().filter(state="draft").exists()
    assert all(each.endswith(".") for each in history.refused)
    post_documents(now=NOW)
    assert ties().hold

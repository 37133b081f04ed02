"""Customer balances: credit notes go to them, invoices take from them, refunds end them; never below zero."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.states import InvoiceState
from billing.payments.balance.errors import BalanceTooSmall, NothingToApply, WhyMissing
from billing.payments.balance.models import BalanceAccount, BalanceEntry
from billing.payments.balance.queries import with_balance
from billing.payments.balance.services import apply_balance, refund, settle_issued, settle_outside
from billing.payments.errors import WrongAmount
from billing.payments.models import Allocation, Payment
from billing.payments.queries import Standing, open_amount, with_standing
from billing.payments.services import record_payment
from revenue.ledger.services import post_documents
from revenue.reports.ties import ties
from tests.billing.issued import NOW, Line, make_contract, make_invoice, make_issued
from tests.revenue.helpers import balance as booked
from tests.revenue.helpers import posted, sides

pytestmark = pytest.mark.django_db
D = Decimal


def credit(invoice: Invoice, amount: str) -> Invoice:
    """An issued credit note of a part of the invoice's first line, which met no balance yet."""
    assert invoice.contract is not None
    line = InvoiceLine.objects.get(invoice=invoice, position=1)
    note = make_invoice(invoice.contract, [Line("Goodwill", f"-{amount}", corrects=line)], state="draft")
    Invoice.objects.filter(pk=note.pk).update(kind="credit_note")
    note.refresh_from_db()
    note.state, note.approved_at = InvoiceState.APPROVED, NOW
    note.save()
    note.state, note.issued_at, note.sequence, note.number = InvoiceState.ISSUED, NOW, note.pk, f"CN-{note.pk:06}"
    note.issue_date = note.due_date = NOW.date()
    note.seller, note.buyer, note.terms = invoice.seller, invoice.buyer, invoice.terms
    note.save()
    return note


def settle(*invoices: Invoice) -> None:
    settle_issued(invoices=invoices, user=None, now=NOW)


def pay(invoice: Invoice, amount: str, *, keep_over: bool = False) -> Payment:
    return record_payment(
        invoice_id=invoice.pk, amount=D(amount), received_on=NOW.date(), reference="wire", user=None, now=NOW,
        keep_over=keep_over,
    )  # fmt: skip


def entries() -> list[tuple[str, Decimal, Decimal]]:
    """Kind, amount and balance after it, in order."""
    return list(BalanceEntry.objects.order_by("account", "number").values_list("kind", "amount", "balance"))


def standing(invoice: Invoice) -> tuple[str, Decimal]:
    found = with_standing(Invoice.objects.filter(pk=invoice.pk), NOW.date()).get()
    assert found.open is not None
    return str(found.standing), found.open


def test_it_works() -> None:
    """What is open on the credited invoice first; the rest is balance, which the next invoice uses."""
    first = make_issued("100.00")
    pay(first, "70.00")
    note = credit(first, "50.00")
    assert standing(note) == (Standing.CREDIT, D("-50"))

    settle(note)

    assert entries() == [("credit_note", D("50"), D("50")), ("applied", D("-30"), D("20"))]
    assert standing(first) == (Standing.PAID, D(0))
    assert standing(note) == (Standing.SETTLED, D(0))
    assert first.contract is not None
    following = make_invoice(first.contract, [Line("Tokens", "60.00")])
    settle(following)
    assert entries()[2] == ("applied", D("-20"), D(0))
    assert standing(following) == (Standing.PARTIALLY_PAID, D("40"))


def test_settling_twice_changes_nothing_and_notes_of_before_come_along() -> None:
    first = make_issued("100.00")
    pay(first, "100.00")
    credit(first, "50.00")  # issued when there were no balances
    assert first.contract is not None
    following = make_invoice(first.contract, [Line("Tokens", "80.00")])
    settle(following)
    settle(following)
    assert entries() == [("credit_note", D("50"), D("50")), ("applied", D("-50"), D(0))]
    assert open_amount(following) == D("30")


def test_the_books_hear_of_every_movement_and_tie() -> None:
    first = make_issued("100.00")
    pay(first, "130.00", keep_over=True)
    settle(credit(first, "50.00"))
    account = BalanceAccount.objects.get()
    refund(account_id=account.pk, amount=D("25.00"), reason="wire of 1 December", user=None, now=NOW)
    settle_outside(account_id=account.pk, amount=D("5.00"), reason="set off", user=None, now=NOW)

    post_documents(now=NOW)

    connection.check_constraints()
    assert [kind for kind, _, _ in entries()] == ["overpayment", "credit_note", "refund", "outside"]
    assert [sides(entry) for entry in posted("balance")] == [
        [("1100", D("50")), ("2160", D("-50"))], [("1000", D("-25")), ("2160", D("25"))],
        [("7200", D("-5")), ("2160", D("5"))],
    ]  # fmt: skip
    assert booked("2160") == D("-50")
    assert with_balance(BalanceAccount.objects.all()).get().balance == D("50")


def test_what_is_paid_too_much_becomes_balance_when_told_so() -> None:
    first = make_issued("100.00")
    pay(first, "100.00")
    pay(first, "15.00", keep_over=True)
    assert entries() == [("overpayment", D("15"), D("15"))]
    assert Allocation.objects.count() == 1
    assert first.contract is not None
    following = make_invoice(first.contract, [Line("Tokens", "10.00")])
    apply_balance(invoice_id=following.pk, user=None, now=NOW)
    assert standing(following) == (Standing.PAID, D(0))
    with pytest.raises(NothingToApply, match="nothing of it is open"):
        apply_balance(invoice_id=following.pk, user=None, now=NOW)


def test_no_more_is_paid_back_than_there_is_and_never_without_a_reason() -> None:
    pay(make_issued("100.00"), "115.00", keep_over=True)
    account = BalanceAccount.objects.get()
    with pytest.raises(BalanceTooSmall, match=r"USD 15\.01 is more than .* enter USD 15\.00 at most"):
        refund(account_id=account.pk, amount=D("15.01"), reason="wire", user=None, now=NOW)
    with pytest.raises(WhyMissing):
        refund(account_id=account.pk, amount=D("15.00"), reason=" ", user=None, now=NOW)
    with pytest.raises(WrongAmount):
        settle_outside(account_id=account.pk, amount=D("0.001"), reason="set off", user=None, now=NOW)
    assert len(entries()) == 1


@pytest.mark.parametrize(
    ("kind", "amount"),
    [("applied", "-16"), ("refund", "-15.01"), ("credit_note", "5"), ("refund", "1")],
)
def test_the_database_refuses_what_does_not_fit(kind: str, amount: str) -> None:
    first = make_issued("100.00")
    pay(first, "90.00")
    pay(make_invoice(make_contract("C-2"), [Line("Tokens", "1.00")]), "1.00")
    with transaction.atomic():
        account = BalanceAccount.objects.create(customer=first.customer, entity=first.entity, currency="USD")
    of = {"invoice": first} if kind in ("applied", "credit_note") else {}
    with pytest.raises(IntegrityError), transaction.atomic():
        BalanceEntry.objects.create(
            account=account, kind=kind, amount=D(amount), day=NOW.date(), reason="psql", recorded_at=NOW, **of
        )
    assert entries() == []


def test_a_payment_takes_only_what_the_balance_left_open() -> None:
    first = make_issued("100.00")
    settle(credit(first, "40.00"))
    payment = Payment.objects.create(
        customer=first.customer, entity=first.entity, currency="USD", amount=D("100"), received_on=NOW.date(),
        recorded_at=NOW,
    )  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        Allocation.objects.create(payment=payment, invoice=first, amount=D("60.01"))
    Allocation.objects.create(payment=payment, invoice=first, amount=D("60.00"))
    assert standing(first) == (Standing.PAID, D(0))


@settings(max_examples=6, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["invoice", "pay", "credit", "refund"]), st.integers(1, 90)), max_size=8)
)
def test_a_balance_is_the_sum_of_its_entries_and_nothing_is_settled_beyond_its_total(
    steps: list[tuple[str, int]],
) -> None:
    with transaction.atomic():
        first = make_issued("100.00")
        assert first.contract is not None
        for what, number in steps:
            account = with_balance(BalanceAccount.objects.all()).first()
            if what == "invoice":
                settle(make_invoice(first.contract, [Line("Tokens", str(number))]))
            elif what == "pay":
                pay(first, str(number), keep_over=True)
            elif what == "credit":
                settle(credit(first, str(number)))
            elif account and account.balance >= number:
                refund(account_id=account.pk, amount=D(number), reason="wire", user=None, now=NOW)
        total = D(0)
        for _, amount, balance in entries():
            total += amount
            assert balance == total >= 0
        for invoice in with_standing(Invoice.objects.filter(kind="invoice"), NOW.date()):
            assert invoice.open is not None
            assert 0 <= invoice.open <= invoice.total
        transaction.set_rollback(True)


def test_receivables_and_balances_tie_with_their_documents() -> None:
    first = make_issued("100.00")
    pay(first, "130.00", keep_over=True)
    settle(credit(first, "50.00"))
    post_documents(now=NOW)
    rows = {row.account: row for row in ties().rows if row.account in ("1100", "2160")}
    assert rows["2160"].documents == D("80")
    assert rows["2160"].difference == D(0)

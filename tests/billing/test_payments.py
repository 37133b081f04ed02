"""Money in: what settles an invoice, what is refused, and where invoices stand."""

import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django_q.models import OrmQ

from billing.invoicing.models import Invoice, Outbox
from billing.payments.errors import NotPayable, NotYetReceived, Overpaid, PaymentsError, WrongAmount
from billing.payments.models import Allocation, Payment
from billing.payments.queries import Standing, open_amount, with_standing
from billing.payments.services import record_payment
from tests.billing.issued import NOW, Line, make_contract, make_invoice, make_issued

TODAY = date(2023, 12, 1)


def pay(invoice: Invoice, amount: str, received_on: date = TODAY) -> Payment:
    return record_payment(
        invoice_id=invoice.pk, amount=Decimal(amount), received_on=received_on, reference="wire 7", user=None, now=NOW
    )


def standing(invoice: Invoice, today: date = TODAY) -> tuple[str, str, str]:
    """Paid, open and standing of an invoice, as texts."""
    found = with_standing(Invoice.objects.filter(pk=invoice.pk), today).get()
    return f"{found.paid:.2f}", "" if found.open is None else f"{found.open:.2f}", str(found.standing or "")


@pytest.mark.django_db
def test_it_works(django_capture_on_commit_callbacks):
    invoice = make_issued("100.00")
    user = User.objects.get(username="finance")
    with django_capture_on_commit_callbacks(execute=True):
        payment = record_payment(
            invoice_id=invoice.pk, amount=Decimal("40.00"), received_on=TODAY, reference="wire 7", user=user, now=NOW
        )
    assert (payment.customer, payment.entity, payment.currency) == (invoice.customer, invoice.entity, "USD")
    assert (payment.reference, payment.received_on, payment.recorded_at) == ("wire 7", TODAY, NOW)
    assert payment.recorded_by == user
    assert payment.allocations.get().amount == Decimal("40")
    assert open_amount(invoice) == Decimal("60")
    outbox = Outbox.objects.get(kind=Outbox.Kind.PAYMENT_RECORDED)
    assert (outbox.object_id, outbox.created_at) == (payment.pk, NOW)
    assert [queued.func() for queued in OrmQ.objects.all()] == ["revenue.tasks.post_documents"]


@pytest.mark.django_db
def test_standing_follows_from_allocations_and_dates():
    invoice = make_issued("100.00")
    assert standing(invoice) == ("0.00", "100.00", Standing.OPEN)
    assert standing(invoice, invoice.due_date) == ("0.00", "100.00", Standing.OPEN)
    assert standing(invoice, date(2024, 1, 1)) == ("0.00", "100.00", Standing.OVERDUE)
    pay(invoice, "40.00")
    assert standing(invoice) == ("40.00", "60.00", Standing.PARTIALLY_PAID)
    assert standing(invoice, date(2024, 1, 1)) == ("40.00", "60.00", Standing.OVERDUE)
    pay(invoice, "60.00")
    assert standing(invoice, date(2024, 1, 1)) == ("100.00", "0.00", Standing.PAID)


@pytest.mark.django_db
def test_an_invoice_of_nothing_is_paid_and_a_draft_stands_nowhere():
    assert standing(make_issued("0.00"))[2] == Standing.PAID
    draft = make_invoice(make_contract("C-2"), [Line("Tokens", "5.00")], state="draft")
    assert standing(draft) == ("0.00", "", "")


@pytest.mark.django_db
def test_standing_is_one_query_to_filter_and_order_by(django_assert_num_queries):
    first, second, _ = (make_issued(number=f"C-{number}") for number in range(3))
    pay(first, "100.00")
    pay(second, "30.00")
    late = date(2024, 1, 1)
    with django_assert_num_queries(1):
        overdue = list(with_standing(Invoice.objects.filter(customer__country="DE"), late).filter(standing="overdue"))
    assert second in overdue
    assert len(overdue) == 2
    with django_assert_num_queries(1):
        assert [each.open for each in with_standing(Invoice.objects.all(), late).order_by("open")] == [0, 70, 100]


@pytest.mark.django_db
def test_more_than_is_open_is_refused_with_the_way_out():
    invoice = make_issued("1500.00")
    pay(invoice, "1000.00")
    with pytest.raises(Overpaid) as refused:
        pay(invoice, "500.01")
    assert str(refused.value) == (
        "USD 500.01 is more than the USD 500.00 that INV-000001 has open. "
        "Record USD 500.00 here, and the rest on another open invoice."
    )
    pay(invoice, "500.00")
    with pytest.raises(Overpaid, match="It is paid already: record the payment on another open invoice"):
        pay(invoice, "0.01")
    assert Payment.objects.count() == Outbox.objects.filter(kind="payment_recorded").count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("currency", "amount", "smallest"),
    [("USD", "0", "0.01"), ("USD", "-1", "0.01"), ("USD", "1.005", "0.01"), ("JPY", "1.5", "1"),
     ("KWD", "1.0001", "0.001"), ("USD", "NaN", "0.01"), ("USD", "Infinity", "0.01")],
)  # fmt: skip
def test_amounts_that_no_bank_could_transfer_are_refused(currency: str, amount: str, smallest: str):
    invoice = make_issued("100", currency=currency)
    with pytest.raises(WrongAmount, match=f"enter {currency} {smallest} or a multiple of it"):
        pay(invoice, amount)
    assert not Payment.objects.exists()


@pytest.mark.django_db
def test_only_an_issued_invoice_is_paid_and_only_with_money_that_arrived():
    approved = make_invoice(make_contract("C-2"), [Line("Tokens", "5.00")], state="approved")
    with pytest.raises(NotPayable, match="issue it first"):
        pay(approved, "5.00")
    with pytest.raises(NotYetReceived, match="2023-12-02 has not come yet"):
        pay(make_issued(), "5.00", date(2023, 12, 2))
    tokyo = datetime(2023, 12, 1, 16, tzinfo=UTC)  # the second of December in Tokyo
    invoice = make_issued(number="C-3")
    invoice.entity.timezone = "Asia/Tokyo"
    invoice.entity.save()
    assert record_payment(
        invoice_id=invoice.pk, amount=Decimal(5), received_on=date(2023, 12, 2), reference="", user=None, now=tokyo
    ).received_on == date(2023, 12, 2)


@pytest.mark.django_db
def test_the_database_refuses_an_allocation_that_does_not_fit():
    invoice, other = make_issued("10.00"), make_issued("10.00", number="C-2")
    payment = pay(invoice, "10.00")
    with pytest.raises(IntegrityError, match="does not fit invoice INV-000002"):
        Allocation.objects.create(payment=payment, invoice=other, amount=Decimal(1))


@pytest.mark.django_db(transaction=True)
def test_two_payments_at_once_allocate_only_what_is_open():
    invoice = make_issued("100.00")
    start = threading.Barrier(2)
    outcomes: list[Payment | PaymentsError] = []

    def work() -> None:
        start.wait()
        try:
            outcomes.append(pay(invoice, "70.00"))
        except PaymentsError as refused:
            outcomes.append(refused)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (refused,) = (outcome for outcome in outcomes if isinstance(outcome, PaymentsError))
    assert "USD 70.00 is more than the USD 30.00 that INV-000001 has open" in str(refused)
    assert Payment.objects.count() == Outbox.objects.filter(kind="payment_recorded").count() == 1
    assert standing(invoice) == ("70.00", "30.00", Standing.PARTIALLY_PAID)


@pytest.mark.django_db(transaction=True)
def test_two_connections_past_the_service_are_stopped_by_the_trigger():
    invoice = make_issued("100.00")
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def work() -> None:
        payment = Payment.objects.create(
            customer=invoice.customer, entity=invoice.entity, currency="USD", amount=Decimal(70), received_on=TODAY,
            recorded_at=NOW,
        )  # fmt: skip
        start.wait()
        try:
            Allocation.objects.create(payment=payment, invoice=invoice, amount=Decimal(70))
            outcomes.append("allocated")
        except IntegrityError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["allocated", "refused"]
    assert Allocation.objects.get().amount == Decimal(70)

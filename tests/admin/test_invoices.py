"""Moving invoices from their pages: one by one, many at once, by those who may, and only once."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from billing.invoicing.delivery.models import Delivery
from billing.invoicing.drawing.models import WaitingDocument
from billing.invoicing.models import BillingRun, Invoice
from billing.invoicing.services import issue
from billing.payments.models import Payment
from tests.admin.conftest import NOW, ROLES, make_business

pytestmark = pytest.mark.django_db
LIST = "admin:billing_invoice_changelist"


def press(client: Any, button: str, invoice: Invoice, **fields: Any) -> Any:
    """Submit the dialog of a button."""
    url = reverse(f"admin:billing_invoice_{button}", args=[invoice.pk])
    return client.post(url, {"_form_submitted": "True", **fields})


def said(response: Any) -> str:
    """The messages that the next page shows."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def state(invoice: Invoice) -> str:
    return Invoice.objects.get(pk=invoice.pk).state


def buttons(client: Any, invoice: Invoice) -> list[str]:
    """The buttons that the invoice's page offers, besides its history."""
    page = client.get(reverse("admin:billing_invoice_change", args=[invoice.pk]))
    return [step["title"] for step in page.context["actions_detail"]]


def test_it_works(sign_in: Any, business: Any) -> None:
    finance, draft = sign_in("Finance"), business.drafts[0]
    answer = press(finance, "approve", draft)
    assert (answer.status_code, state(draft)) == (200, "approved")
    assert answer["HX-Redirect"] == reverse("admin:billing_invoice_change", args=[draft.pk])
    assert "USD 100.00" in said(answer)
    press(finance, "issue", draft)
    assert state(draft) == "issued"


def test_only_legal_next_steps_are_offered(sign_in: Any, business: Any) -> None:
    finance, draft = sign_in("Finance"), business.drafts[0]
    assert buttons(finance, draft) == ["Approve", "PDF", "Usage as CSV"]
    press(finance, "approve", draft)
    assert buttons(finance, draft) == ["Issue", "Send back", "PDF", "Usage as CSV"]
    assert buttons(finance, business.issued[0]) == [
        "Send",
        "Credit",
        "Void",
        "PDF",
        "Usage as CSV",
        "Record payment",
        "Write off",
    ]


def test_a_second_approval_does_nothing_and_says_why(sign_in: Any, business: Any) -> None:
    finance, draft = sign_in("Finance"), business.drafts[0]
    press(finance, "approve", draft)
    first = Invoice.objects.get(pk=draft.pk).approved_at
    again = press(finance, "approve", draft)
    assert "is approved, so it cannot be approved" in said(again)
    assert Invoice.objects.get(pk=draft.pk).approved_at == first


def test_looking_at_a_dialog_moves_nothing(sign_in: Any, business: Any) -> None:
    url = reverse("admin:billing_invoice_approve", args=[business.drafts[0].pk])
    page = sign_in("Finance").get(url)
    assert "Approve this invoice?" in page.content.decode()
    assert state(business.drafts[0]) == "draft"


def test_sending_back_needs_a_reason_and_keeps_it(sign_in: Any, approved: Invoice) -> None:
    finance = sign_in("Finance")
    refused = press(finance, "send_back", approved, reason="  ")
    assert "This field is required" in refused.content.decode()
    assert state(approved) == "approved"
    press(finance, "send_back", approved, reason="Seats are wrong")
    kept = Invoice.objects.get(pk=approved.pk)
    assert (kept.state, kept.returned_reason) == ("draft", "Seats are wrong")
    page = finance.get(reverse("admin:billing_invoice_change", args=[approved.pk])).content.decode()
    assert "Seats are wrong" in page


def test_a_payment_starts_from_what_is_open_and_settles_it(sign_in: Any, business: Any) -> None:
    finance, invoice = sign_in("Finance"), business.issued[0]
    dialog = finance.get(reverse("admin:billing_invoice_record_payment", args=[invoice.pk])).content.decode()
    open_now = invoice.total - 10
    assert f'value="{open_now:.2f}"' in dialog
    press(finance, "record_payment", invoice, amount=f"{open_now:.2f}", received_on="2023-12-28", reference="Wire 7")
    assert Payment.objects.get(reference="Wire 7").amount == open_now
    assert "Record payment" not in buttons(finance, invoice)


def test_too_large_a_payment_is_refused_in_words(sign_in: Any, business: Any) -> None:
    invoice = business.issued[0]
    answer = press(sign_in("Finance"), "record_payment", invoice, amount="9999", received_on="2023-12-28")
    assert "is more than the USD" in said(answer)
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("role", [role for role in ROLES if role != "Finance"])
@pytest.mark.parametrize("button", ["approve", "send_back", "issue", "send", "record_payment"])
def test_outsiders_neither_see_the_buttons_nor_get_through(
    role: str, button: str, sign_in: Any, business: Any, approved: Invoice
) -> None:
    client = sign_in(role)
    invoice = business.issued[0] if button in ("send", "record_payment") else approved
    answer = press(client, button, invoice, reason="x", amount="1", received_on="2023-12-28")
    assert answer.status_code == 403
    assert (state(approved), Payment.objects.count(), Delivery.objects.count()) == ("approved", 1, 0)
    if role != "Engineer":
        assert buttons(client, invoice) == ["PDF", "Usage as CSV"]


@pytest.mark.parametrize("role", ["RevOps", "Auditor"])
def test_outsiders_are_offered_no_bulk_actions(role: str, sign_in: Any, business: Any) -> None:
    client, draft = sign_in(role), business.drafts[0]
    page = client.get(reverse(LIST))
    assert page.context["action_form"] is None or not page.context["action_form"].fields["action"].choices[1:]
    client.post(reverse(LIST), {"action": "approve_selected", "_selected_action": [draft.pk], "confirm": "1:x"})
    assert state(draft) == "draft"


def test_many_are_approved_after_a_page_that_says_how_much(sign_in: Any) -> None:
    business = make_business(3)
    finance = sign_in("Finance")
    chosen = [*(draft.pk for draft in business.drafts), business.issued[0].pk]
    form = {"action": "approve_selected", "_selected_action": chosen, "index": "0", "select_across": "0"}
    page = finance.post(reverse(LIST), form)
    text = page.content.decode()
    assert "Approve 3 invoices, USD 300.00" in text
    assert "1 skipped" in text
    assert "only an invoice that is draft can be approved" in text
    assert {state(draft) for draft in business.drafts} == {"draft"}
    done = finance.post(reverse(LIST), form | {"confirm": page.context["confirm"]})
    assert done.status_code == 302
    assert "Approved 3 invoices, USD 300.00; 1 skipped" in said(done)
    assert {state(draft) for draft in business.drafts} == {"approved"}


def test_after_a_bulk_action_the_filtered_list_comes_back(sign_in: Any, business: Any) -> None:
    finance, url = sign_in("Finance"), reverse(LIST) + "?state__exact=draft"
    form = {"action": "approve_selected", "_selected_action": [business.drafts[0].pk], "index": "0"}
    page = finance.post(url, form)
    done = finance.post(url, form | {"confirm": page.context["confirm"]})
    assert done["Location"] == url


def test_all_of_a_list_means_all_that_the_page_named(sign_in: Any) -> None:
    business = make_business(3)
    finance, url = sign_in("Finance"), reverse(LIST) + "?state__exact=draft"
    form = {"action": "approve_selected", "_selected_action": [business.drafts[0].pk], "index": "0",
            "select_across": "1"}  # fmt: skip
    page = finance.post(url, form)
    assert page.context["ready_count"] == 3
    assert 'name="select_across" value="1"' in page.content.decode()
    stale = finance.post(url, form | {"confirm": "2:USD 200.00"})
    assert "have changed since" in stale.content.decode()
    assert {state(draft) for draft in business.drafts} == {"draft"}
    finance.post(url, form | {"confirm": page.context["confirm"]})
    assert {state(draft) for draft in business.drafts} == {"approved"}


def test_many_are_issued_and_left_to_the_worker_to_send(sign_in: Any) -> None:
    business = make_business(2)
    finance = sign_in("Finance")
    press(finance, "approve", business.drafts[0])
    press(finance, "approve", business.drafts[1])
    ids = [draft.pk for draft in business.drafts]
    for action in ("issue_selected", "send_selected"):
        form = {"action": action, "_selected_action": ids, "index": "0"}
        page = finance.post(reverse(LIST), form)
        finance.post(reverse(LIST), form | {"confirm": page.context["confirm"]})
    assert {state(draft) for draft in business.drafts} == {"issued"}
    assert Delivery.objects.count() == 2


def test_an_invoice_shows_its_steps_and_what_was_paid(sign_in: Any, business: Any) -> None:
    page = sign_in("Auditor").get(reverse("admin:billing_invoice_change", args=[business.issued[0].pk]))
    text = page.content.decode()
    assert "7 tokens" in text
    assert "USD 0.01" in text
    assert "BANK" in text
    assert reverse("admin:billing_usage") in text
    assert f"source__exact=invoice/{business.issued[0].pk}" in text


def test_the_usage_behind_an_invoice_is_a_file(sign_in: Any, business: Any) -> None:
    answer = sign_in("Auditor").get(reverse("admin:billing_invoice_usage", args=[business.issued[0].pk]))
    assert answer["Content-Disposition"] == f'attachment; filename="usage-{business.issued[0].number}.csv"'
    rows = b"".join(answer.streaming_content).decode().splitlines()
    assert rows[0].startswith("invoice,line,description")
    assert rows[1].startswith(f"{business.issued[0].number},")


def test_a_document_that_cannot_be_drawn_says_so_on_the_page(sign_in: Any, business: Any) -> None:
    waiting = WaitingDocument.objects.get(invoice=business.issued[0])
    waiting.error, waiting.attempts = "GlyphsMissing: The font lacks “서”.", 2
    waiting.save()
    page = sign_in("Auditor").get(reverse("admin:billing_invoice_change", args=[business.issued[0].pk]))
    assert "The document could not be drawn: GlyphsMissing: The font lacks “서”." in page.content.decode()


def test_the_pdf_of_a_draft_is_a_preview_and_of_an_issued_one_the_document(
    sign_in: Any, business: Any, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    auditor = sign_in("Auditor")
    for invoice in (business.drafts[0], business.issued[0]):
        answer = auditor.get(reverse("admin:billing_invoice_pdf", args=[invoice.pk]))
        assert answer["Content-Type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF")
    assert [row.invoice_id for row in type(business.issued[0]).document.related.related_model.objects.all()] == [
        business.issued[0].pk
    ]


@pytest.mark.parametrize(
    ("query", "count"),
    [("state__exact=draft", 1), ("standing=overdue", 0), ("standing=open", 0), ("standing=partially_paid", 0)],
)
def test_saved_views_filter_the_list(query: str, count: int, sign_in: Any, business: Any) -> None:
    # Today is long after 2023: what was partly paid then is overdue.
    found = sign_in("Finance").get(f"{reverse(LIST)}?{query}").context["cl"].result_count
    assert found == (1 if query == "standing=overdue" else count)


def test_a_run_is_started_from_the_list_by_those_who_may(sign_in: Any, business: Any) -> None:
    url, form = reverse("admin:billing_billingrun_start"), {"_form_submitted": "True", "as_of": "2024-02-01"}
    runs = BillingRun.objects.count()
    for role in ("RevOps", "Auditor", "Engineer"):
        assert sign_in(role).post(url, form).status_code == 403
    assert BillingRun.objects.count() == runs
    finance = sign_in("Finance")
    answer = finance.post(url, form)
    run = BillingRun.objects.latest("pk")
    assert BillingRun.objects.count() == runs + 1
    assert answer["HX-Redirect"] == reverse("admin:billing_billingrun_change", args=[run.pk])
    assert "K-000" in finance.get(answer["HX-Redirect"]).content.decode()


def test_a_mistyped_year_is_refused(sign_in: Any, business: Any) -> None:
    url = reverse("admin:billing_billingrun_start")
    page = sign_in("Finance").post(url, {"_form_submitted": "True", "as_of": "2124-02-01"})
    assert "is too far ahead" in page.content.decode()


def test_the_history_says_who_did_what(sign_in: Any, business: Any) -> None:
    finance = sign_in("Finance")
    press(finance, "approve", business.drafts[0])
    page = finance.get(reverse("admin:billing_invoice_history", args=[business.drafts[0].pk])).content.decode()
    assert "Approved." in page
    assert "finance" in page


def test_an_issued_invoice_cannot_be_issued_again(sign_in: Any, approved: Invoice) -> None:
    issue(invoice_ids=[approved.pk], user=None, now=NOW)
    number = Invoice.objects.get(pk=approved.pk).number
    answer = press(sign_in("Finance"), "issue", approved)
    assert "is issued, so it cannot be issued" in said(answer)
    assert Invoice.objects.get(pk=approved.pk).number == number

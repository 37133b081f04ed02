"""The page of a line: how it came about, with links to where everything is kept, for those who may see it."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse

from billing.invoicing.explaining.page import line_url
from billing.invoicing.models import Invoice
from billing.metering.months import services as months
from tests import factories
from tests.admin.conftest import NOW, ROLES
from tests.billing.metering.months.conftest import archive as archive

pytestmark = pytest.mark.django_db


def tokens(invoice: Invoice) -> Any:
    return invoice.lines.get(kind="usage")


def test_it_works(sign_in: Any, business: Any) -> None:
    line = tokens(business.issued[0])
    invoice_page = sign_in("Finance").get(reverse("admin:billing_invoice_change", args=[line.invoice_id]))
    assert line_url(line) in invoice_page.content.decode()
    page = sign_in("admin").get(line_url(line)).content.decode()
    for words in (
        "Line 3: Tokens", "What was used: 2023-11-01 – 2023-11-30", "Pro, version 1", "USD 0.01 per token",
        "The subscription began on 2023-11-01", "1 event counted", "first-0", "2023-11-10 08:00:00", "All days",
    ):  # fmt: skip
        assert words in page, words


def test_late_usage_shows_both_lines_on_either_page(sign_in: Any, business: Any) -> None:
    line = tokens(business.issued[0])
    factories.send_events(subject="buyer-0", time="2023-11-11T08:00:00Z", data={"tokens": 300}, now=NOW)
    draft = factories.bill("2024-01-01", now=NOW)[0]
    late = draft.lines.get(kind="usage", corrects=line)
    client = sign_in("Finance")
    pages = [client.get(line_url(each)).content.decode() for each in (line, late)]
    assert line_url(late) in pages[0]
    assert line_url(line) in pages[1]
    assert all("1 event came late: 307 tokens instead of 7" in page for page in pages)
    assert "Already billed" in pages[1]


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_whoever_sees_invoices_sees_their_lines(role: str, sign_in: Any, business: Any) -> None:
    line, client = tokens(business.issued[0]), sign_in(role)
    sees = 200 if role in ("RevOps", "Finance", "Auditor") else 403
    assert client.get(line_url(line)).status_code == sees
    assert client.get(line_url(line, "line_events")).status_code == sees


def test_single_events_are_for_those_who_may_see_events(sign_in: Any, business: Any, django_user_model: Any) -> None:
    line, client = tokens(business.issued[0]), sign_in("nobody")
    user = django_user_model.objects.get(username="nobody")
    user.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    page = client.get(line_url(line)).content.decode()
    assert "Single events are shown to those who may see events" in page
    assert "first-0" not in page
    assert client.get(line_url(line, "line_events")).status_code == 403


def test_a_line_that_is_not_there_is_said_so(sign_in: Any, business: Any) -> None:
    invoice = business.issued[0]
    assert sign_in("Finance").get(reverse("admin:billing_invoice_line", args=[invoice.pk, 99])).status_code == 404


def test_the_events_are_a_file(sign_in: Any, business: Any) -> None:
    answer = sign_in("Finance").get(line_url(tokens(business.issued[0]), "line_events"))
    assert answer["Content-Disposition"] == f'attachment; filename="events-{business.issued[0].number}-3.csv"'
    head, row = b"".join(answer.streaming_content).decode().splitlines()
    assert (head, row) == (
        "time,id,source,subject,quantity", "2023-11-10T08:00:00+00:00,first-0,test,buyer-0,7",
    )  # fmt: skip


def test_events_in_the_archive_are_said_to_be_there(sign_in: Any, business: Any, archive: Any) -> None:
    line, client = tokens(business.issued[0]), sign_in("Finance")
    months.export(month="2023-11", now=NOW)
    months.detach(month="2023-11", now=NOW)
    assert "in the archive" in client.get(line_url(line)).content.decode()
    answer = client.get(line_url(line, "line_events"))
    assert answer.status_code == 302
    assert "restore 2023-11" in " ".join(str(each) for each in get_messages(answer.wsgi_request))

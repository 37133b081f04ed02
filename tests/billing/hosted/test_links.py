"""A link opens one document for its customer: complete, in their language, until it is over, and nothing else."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail, signing
from django.db import connection
from django.db.utils import DatabaseError
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.hosted.errors import NotHosted
from billing.hosted.models import SALT, HostedLink
from billing.hosted.services import make_link, revoke
from billing.invoicing.delivery.services import send_invoices
from config import clock
from tests.billing.hosted.conftest import another_link
from tests.billing.issued import NOW, Line, make_contract, make_invoice, make_issued

pytestmark = pytest.mark.django_db
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def url(name: str, link: HostedLink, *place: int) -> str:
    return reverse(name, args=[link.token, *place])


def _lines(count: int) -> list[Line]:
    return [Line("Tokens", "1.00", code=f"c{each}") for each in range(count)]


def everything(link: HostedLink, place: int) -> list[str]:
    """All addresses of a link that are read."""
    whole = [url(name, link) for name in ("hosted", "hosted_pdf", "hosted_usage")]
    return whole + [url(name, link, place) for name in ("hosted_line", "hosted_events")]


def test_it_works(client: Any, page: Any) -> None:
    text = client.get(page.link.path).content.decode()
    for words in (page.invoice.number, "Customer buyer", "Acme AI GmbH", "Tokens", "Still to pay", "Download PDF"):
        assert words in text, words
    assert "<svg" in text
    assert "As a table" in text
    assert text.count("<rect") == 2
    assert "/admin/" not in text
    assert "<script" not in text


def test_a_line_explains_itself_with_its_usage_by_day(client: Any, page: Any) -> None:
    text = client.get(url("hosted_line", page.link, page.tokens.position)).content.decode()
    assert "USD 0.01" in text
    assert "154" in text
    assert "<svg" in text
    assert "Ask about this line" in text
    assert "/admin/" not in text


def test_every_line_has_its_own_page(client: Any, page: Any) -> None:
    front = client.get(page.link.path).content.decode()
    for line in page.invoice.lines.all():
        assert url("hosted_line", page.link, line.position) in front
        assert line.description in client.get(url("hosted_line", page.link, line.position)).content.decode()


def test_the_files_are_the_document_and_its_usage(client: Any, page: Any) -> None:
    pdf = client.get(url("hosted_pdf", page.link))
    assert pdf["Content-Type"] == "application/pdf"
    assert b"".join(pdf.streaming_content).startswith(b"%PDF")
    usage = b"".join(client.get(url("hosted_usage", page.link)).streaming_content).decode()
    assert "2023-11-12" in usage
    events = b"".join(client.get(url("hosted_events", page.link, page.tokens.position)).streaming_content).decode()
    assert "buyer-10" in events
    assert "other-10" not in usage + events


@pytest.mark.parametrize(
    ("locale", "words"),
    [("de-DE", "PDF herunterladen"), ("fr-FR", "Télécharger le PDF"), ("ja-JP", "PDF をダウンロード")],
)
def test_the_page_speaks_the_customers_language(client: Any, hosted: Any, locale: str, words: str) -> None:
    link = hosted(locale=locale).link
    text = client.get(link.path).content.decode()
    assert words in text
    assert f'<html lang="{locale[:2]}">' in text
    revoke(link_id=link.pk, user=None, now=clock.now())
    assert f'<html lang="{locale[:2]}">' in client.get(link.path).content.decode()


def test_no_search_engine_cache_frame_or_script_gets_hold_of_it(client: Any, page: Any) -> None:
    gone = another_link(page.invoice)
    revoke(link_id=gone.pk, user=None, now=clock.now())
    strange = [url("hosted", gone), "/i/strange/", url("hosted_line", page.link, 99)]
    for address in [*everything(page.link, page.tokens.position), *strange]:
        answer = client.get(address)
        assert answer["X-Robots-Tag"] == "noindex, nofollow", address
        assert "no-store" in answer["Cache-Control"]
        assert answer["Referrer-Policy"] in ("no-referrer", "same-origin")
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_an_altered_link_opens_nothing(client: Any, page: Any) -> None:
    token = page.link.token
    unknown = signing.Signer(salt=SALT).sign("nobody")
    elsewhere = signing.Signer(salt="else").sign(page.link.code)
    for wrong in (token[:-1], f"x{token}", page.link.code, f"{page.link.code}:", unknown, elsewhere, "\x00", "é" * 50):
        answer = client.get(reverse("hosted", args=[wrong]))
        assert answer.status_code == 404, wrong
        assert "This address is not complete" in answer.content.decode()
    assert HostedLink.objects.get(pk=page.link.pk).views == 0


@pytest.mark.parametrize("over", ["expired", "revoked"])
def test_a_link_that_is_over_says_so_and_opens_nothing_behind_it(client: Any, page: Any, over: str) -> None:
    if over == "expired":
        link, words = make_link(invoice=page.invoice, user=None, now=LONG_AGO), "This link has expired"
    else:
        link, words = page.link, "This link was withdrawn"
        revoke(link_id=link.pk, user=None, now=clock.now())
    for address in everything(link, page.tokens.position):
        answer = client.get(address)
        assert answer.status_code == 410
        assert f"{words}. Ask Acme AI GmbH for a new one." in answer.content.decode()
        assert page.invoice.number not in answer.content.decode()
    asked = client.post(url("hosted_ask", link, page.tokens.position), {"name": "Eve", "question": "Why?"})
    assert asked.status_code == 410
    assert not link.disputes.exists()


def test_a_link_holds_to_its_last_moment(page: Any) -> None:
    link = make_link(invoice=page.invoice, user=None, now=NOW, days=1)
    assert link.expires_at == NOW + timedelta(days=1)


def test_nothing_of_another_invoice_can_be_reached(client: Any, page: Any) -> None:
    text = client.get(page.link.path).content.decode()
    assert page.other.number not in text
    assert "Customer other" not in text
    reached = set(re.findall(r'(?:href|action)="(/[^"]+)"', text))
    assert {each for each in reached if not each.startswith((page.link.path, "/static/"))} == set()
    beyond = page.invoice.lines.count() + 1
    assert {client.get(url(name, page.link, place)).status_code for name in ("hosted_line", "hosted_events")
            for place in (0, beyond, 99999999999)} == {404}  # fmt: skip
    assert {client.post(address).status_code for address in everything(page.link, 1)} == {405}


def test_opening_it_is_counted_and_its_parts_are_not(client: Any, page: Any) -> None:
    for _ in range(2):
        client.get(page.link.path)
    client.get(url("hosted_line", page.link, 1))
    page.link.refresh_from_db()
    assert page.link.views == 2
    assert page.link.seen_at is not None


@pytest.mark.parametrize("state", ["draft", "approved"])
def test_what_is_not_issued_has_no_link(state: str) -> None:
    invoice = make_invoice(make_contract(), [Line("Tokens", "5.00")], state=state)
    with pytest.raises(NotHosted, match="is not issued yet"):
        make_link(invoice=invoice, user=None, now=NOW)


def test_a_revoked_link_stays_revoked_and_leads_where_it_led(page: Any) -> None:
    revoke(link_id=page.link.pk, user=None, now=clock.now())
    revoke(link_id=page.link.pk, user=None, now=LONG_AGO)
    page.link.refresh_from_db()
    assert page.link.revoked_at > LONG_AGO
    with pytest.raises(DatabaseError, match=r"revoked|Cannot update"):
        HostedLink.objects.filter(pk=page.link.pk).update(revoked_at=None)


@pytest.mark.parametrize("change", [{"code": "mine"}, {"expires_at": NOW}])
def test_a_link_is_not_rewritten(page: Any, change: dict[str, Any]) -> None:
    with pytest.raises(DatabaseError):
        HostedLink.objects.filter(pk=page.link.pk).update(**change)


def test_the_letter_names_a_link_once_the_address_of_the_server_is_known(client: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://billing.example.com/"
    invoice = make_issued()
    send_invoices(invoice_ids=[invoice.pk], user=None, now=clock.now())
    (link,) = HostedLink.objects.all()
    assert link.address in mail.outbox[0].body
    assert link.address.startswith("https://billing.example.com/i/")
    assert client.get(link.path).status_code == 200
    send_invoices(invoice_ids=[invoice.pk], user=None, now=clock.now(), to=["cfo@acme.example"])
    assert link.address in mail.outbox[1].body  # the same: it holds for another month


def test_no_letter_names_an_address_that_nobody_reaches(settings: Any) -> None:
    settings.PUBLIC_URL = ""
    send_invoices(invoice_ids=[make_issued().pk], user=None, now=clock.now())
    assert "/i/" not in mail.outbox[0].body
    assert not HostedLink.objects.exists()


def test_pages_cost_the_same_with_few_lines_and_with_many(client: Any, page: Any) -> None:
    def cost(link: HostedLink) -> int:
        client.get(link.path)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(link.path).status_code == 200
        return len(queries)

    few, many = (another_link(make_invoice(make_contract(f"C-{count}"), _lines(count))) for count in (2, 12))
    assert cost(few) == cost(many)

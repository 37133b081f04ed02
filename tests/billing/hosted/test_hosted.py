"""The customer's page of an invoice: what opens it, what stands there, what cannot be reached, and questions."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, ProgrammingError, transaction
from django.test import Client
from django.urls import reverse

from billing.hosted import services, tasks
from billing.hosted.errors import NoSuchMove, NotHosted
from billing.hosted.models import Dispute, HostedLink
from billing.invoicing.delivery.messages import texts_of
from billing.invoicing.models import Invoice
from customers.models import Customer
from tests.billing.invoicing.test_concurrency import at_once
from tests.factories import (
    NOW,
    bill,
    bill_and_issue,
    fee,
    make_contract,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hour of the pages; `clock(days=3)` moves it."""

    def move(**ahead: float) -> None:
        monkeypatch.setattr("config.clock.now", lambda: NOW + timedelta(**ahead))

    move()
    return move


def issued(locale: str = "en") -> Invoice:
    contract = make_contract()
    Customer.objects.update(locale=locale)
    make_subscription(contract, make_version(fee(), usage()))
    for day, region, tokens in ((3, "eu", 100), (4, "us", 50), (4, "eu", 7)):
        send_events(
            subject=contract.customer.external_id, time=f"2023-11-0{day}T00:00:00Z",
            data={"tokens": tokens, "region": region}, id=f"{contract.customer.external_id}-{day}-{region}",
        )  # fmt: skip
    (invoice,) = bill_and_issue("2023-12-01")
    return invoice


def link_to(invoice: Invoice, **more: Any) -> HostedLink:
    return services.make_link(invoice=invoice, user=None, now=NOW, **more)


def text(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def used(link: HostedLink) -> int:
    """The line of usage."""
    position: int = link.invoice.lines.get(kind="usage").position
    return position


def ask(client: Client, link: HostedLink, position: int = 1, **said: str) -> Any:
    form = {"name": "Jo", "email": "jo@example.com", "question": "Why so much?"} | said
    return client.post(reverse("hosted_ask", args=[link.token, position]), form)


class TestOpening:
    def test_the_invoice_is_shown_with_its_lines_and_usage(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        page = text(client, link.path)
        for part in ("ACME-000001", "How it came about", "Download PDF", "<rect", "Still to pay", "As a table"):
            assert part in page
        link.refresh_from_db()
        assert (link.views, link.seen_at is not None) == (1, True)

    @pytest.mark.parametrize(("locale", "words"), [
        ("de-DE", ("PDF herunterladen", "Noch zu zahlen")), ("fr", ("Télécharger le PDF", "Reste à payer")),
        ("ja", ("PDF をダウンロード", "未払い額")),
    ])  # fmt: skip
    def test_it_speaks_the_customer_s_language(
        self, client: Client, clock: Any, locale: str, words: tuple[str, ...]
    ) -> None:
        page = text(client, link_to(issued(locale)).path)
        assert all(word in page for word in words)

    def test_a_line_says_how_it_came_about(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        page = text(client, reverse("hosted_line", args=[link.token, used(link)]))
        assert "157" in page
        assert "/admin/" not in page
        assert "Ask about this line" in page

    def test_its_files_come_along(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        pdf = client.get(reverse("hosted_pdf", args=[link.token]))
        assert b"".join(pdf).startswith(b"%PDF")
        usage_file = client.get(reverse("hosted_usage", args=[link.token]))
        assert b"ACME-000001" in b"".join(usage_file)
        events = b"".join(client.get(reverse("hosted_events", args=[link.token, used(link)]))).decode().splitlines()
        assert len(events) == 4
        assert "subject" not in events[0]

    def test_nobody_indexes_frames_or_keeps_it(self, client: Client, clock: Any) -> None:
        answer = client.get(link_to(issued()).path)
        assert answer["X-Robots-Tag"] == "noindex, nofollow"
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["Cache-Control"] == "private, no-store"

    def test_queries_do_not_grow_with_views(
        self, client: Client, clock: Any, django_assert_max_num_queries: Any
    ) -> None:
        link = link_to(issued())
        client.get(link.path)
        with django_assert_max_num_queries(45):
            client.get(link.path)


class TestRefusals:
    def test_an_altered_link_opens_nothing(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        assert "not complete" in text(client, link.path[:-3] + "xx/", 404)
        assert "not complete" in text(client, reverse("hosted", args=["nothing"]), 404)

    def test_an_expired_link_says_so_in_the_customer_s_language(self, client: Client, clock: Any) -> None:
        link = link_to(issued("de"), days=2)
        clock(days=3)
        assert "ist abgelaufen. Bitten Sie Acme AI GmbH um einen neuen" in text(client, link.path, 410)

    def test_a_revoked_link_opens_neither_pages_nor_files(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        services.revoke(link_id=link.pk, user=None, now=NOW)
        for name, more in (("hosted", []), ("hosted_pdf", []), ("hosted_usage", []), ("hosted_line", [1])):
            assert "withdrawn" in text(client, reverse(name, args=[link.token, *more]), 410)
        assert ask(client, link).status_code == 410
        with pytest.raises(ProgrammingError, match="billing_hostedlink"), transaction.atomic():
            HostedLink.objects.update(revoked_at=None)

    def test_it_reaches_no_other_invoice(self, client: Client, clock: Any) -> None:
        link, other = link_to(issued()), issued()
        assert client.get(reverse("hosted_line", args=[link.token, 9])).status_code == 404
        assert other.number not in text(client, link.path)

    def test_a_draft_has_no_link(self) -> None:
        make_subscription(make_contract())
        (draft,) = bill("2023-11-01")
        with pytest.raises(NotHosted, match="is not issued yet"):
            link_to(draft)


class TestQuestions:
    def test_a_question_arrives_on_its_line_and_by_mail(
        self, client: Client, clock: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        link = link_to(issued())
        answer = ask(client, link, 2)
        assert answer.status_code == 302
        assert "your question has arrived" in text(client, answer["Location"])
        found = Dispute.objects.get()
        assert (found.line.position, found.question, found.state) == (2, "Why so much?", "open")
        tasks.tell_finance(found.pk)
        assert mail.outbox[0].subject == "Question about ACME-000001, line 2"
        assert mail.outbox[0].to == [found.line.invoice.entity.email]

    def test_sent_twice_it_is_one(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        ask(client, link)
        ask(client, link, question="Why  so much? ")
        assert Dispute.objects.count() == 1

    def test_what_is_wrong_is_said_beside_what_was_written(self, client: Client, clock: Any) -> None:
        link = link_to(issued("de"))
        empty = ask(client, link, question=" ", name="Jo <b>")
        assert empty.status_code == 400
        assert "geben Sie Ihren Namen" in empty.content.decode()
        assert "Jo &lt;b&gt;" in empty.content.decode()
        bad = ask(client, link, email="nobody")
        assert "keine E-Mail-Adresse: nobody" in bad.content.decode()
        assert not Dispute.objects.exists()

    def test_a_flood_is_stopped(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        for number in range(services.AN_HOUR):
            assert ask(client, link, question=f"Question {number}?").status_code == 302
        refused = ask(client, link, question="One more?")
        assert refused.status_code == 429
        assert "wait an hour, or write to Acme AI GmbH" in refused.content.decode()
        clock(hours=2)
        assert ask(client, link, question="One more?").status_code == 302

    def test_an_answer_stands_on_the_page_and_goes_out_by_mail(self, client: Client, clock: Any) -> None:
        link = link_to(issued())
        ask(client, link)
        (found,) = Dispute.objects.all()
        services.answer(dispute_id=found.pk, text="Because of 157 tokens.", user=None, now=NOW)
        assert "Because of 157 tokens." in text(client, link.path)
        tasks.tell_customer(found.pk)
        assert mail.outbox[0].to == ["jo@example.com"]
        assert "> Why so much?" in mail.outbox[0].body
        with pytest.raises(NoSuchMove, match="answered already"):
            services.answer(dispute_id=found.pk, text="Again", user=None, now=NOW)
        services.settle(dispute_id=found.pk, outcome="Explained.", user=None, now=NOW)
        with pytest.raises(NoSuchMove, match="settled already"):
            services.settle(dispute_id=found.pk, outcome="Again.", user=None, now=NOW)

    def test_questions_are_read_by_their_own_link_only(self, client: Client, clock: Any) -> None:
        invoice = issued()
        ask(client, link_to(invoice))
        assert "Why so much?" not in text(client, link_to(invoice).path)

    def test_what_was_asked_is_never_changed(self, client: Client, clock: Any) -> None:
        ask(client, link_to(issued()))
        with pytest.raises(ProgrammingError, match="billing_dispute"), transaction.atomic():
            Dispute.objects.update(question="Nothing.")
        with pytest.raises(IntegrityError, match="dispute_answer"), transaction.atomic():
            Dispute.objects.update(state="answered")


class TestLetters:
    def test_a_letter_names_one_link_however_often_it_is_sent(self, settings: Any) -> None:
        invoice = issued()
        assert texts_of(invoice, NOW)["link"] == ""
        settings.PUBLIC_URL = "https://billing.example.com/"
        first = texts_of(invoice, NOW)["link"]
        assert first.startswith("https://billing.example.com/i/")
        assert texts_of(invoice, NOW)["link"] == first
        services.revoke(link_id=HostedLink.objects.get().pk, user=None, now=NOW)
        assert texts_of(invoice, NOW)["link"] != first


@pytest.mark.django_db(transaction=True)
def test_the_same_question_from_two_tabs_at_once_is_kept_once() -> None:
    link = link_to(issued())
    line = link.invoice.lines.get(position=1)
    said = {"link": link, "line": line, "name": "Jo", "email": "", "question": "Why?", "now": NOW}
    first, second = at_once(lambda: services.ask(**said), lambda: services.ask(**said))
    assert first == second
    assert Dispute.objects.count() == 1

"""A customer asks about a line: it arrives once, finance hears of it, and the answer stands on the page."""

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.core import mail
from django.db import DatabaseError, IntegrityError, connection
from django.test import Client
from django.urls import reverse

from billing.hosted import services
from billing.hosted.errors import NoSuchMove
from billing.hosted.models import Dispute, HostedLink
from billing.hosted.services import AN_HOUR
from billing.hosted.states import DisputeState
from billing.hosted.tasks import tell_customer, tell_finance
from config import clock
from tests.billing.hosted.conftest import another_link
from tests.billing.issued import make_issued

pytestmark = pytest.mark.django_db
GOOD = {"name": "Eve Buyer", "email": "eve@buyer.example", "question": "Why so many?"}


def send(client: Any, page: Any, link: HostedLink | None = None, **given: str) -> Any:
    address = reverse("hosted_ask", args=[(link or page.link).token, page.tokens.position])
    return client.post(address, GOOD | given)


def asked(page: Any) -> Dispute:
    return services.ask(link=page.link, line=page.tokens, now=clock.now(), **GOOD)


def answered(dispute: Dispute) -> Dispute:
    return services.answer(dispute_id=dispute.pk, text="Two busy days.", user=None, now=clock.now())


def test_it_works(client: Any, page: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks() as queued:
        answer = send(client, page)
    assert len(queued) == 1
    text = client.get(answer["Location"]).content.decode()
    assert "Thank you: your question has arrived" in text
    assert "Why so many?" in text
    assert "Not answered yet." in text
    dispute = Dispute.objects.get()
    assert (dispute.line, dispute.state) == (page.tokens, DisputeState.OPEN)
    answered(dispute)
    assert "Two busy days." in client.get(page.link.path).content.decode()


def test_the_same_question_sent_twice_is_one(client: Any, page: Any) -> None:
    answers = [send(client, page), send(client, page, question=" Why  so many? ", email="EVE@buyer.example")]
    assert {answer.status_code for answer in answers} == {302}
    assert Dispute.objects.count() == 1
    send(client, page, question="And why on Sunday?")
    assert Dispute.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_button_pressed_in_two_tabs_at_once_asks_once(page: Any) -> None:
    def press() -> None:
        try:
            send(Client(), page)
        finally:
            connection.close()

    tabs = [Thread(target=press) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert Dispute.objects.count() == 1


def test_nobody_asks_without_end(client: Any, page: Any) -> None:
    codes = [send(client, page, question=f"Question {number}?").status_code for number in range(AN_HOUR + 1)]
    assert codes == [302] * AN_HOUR + [429]
    assert Dispute.objects.count() == AN_HOUR
    told = send(client, page, question="One more?").content.decode()
    assert "Many questions came by this link within the hour" in told
    assert "One more?" in told
    assert send(client, page, question="Question 0?").status_code == 302  # it is there already
    with clock.set_to(clock.now() + timedelta(hours=1, minutes=1)):
        assert send(client, page, question="One more?").status_code == 302


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": " "}, "Please give your name"),
        ({"question": ""}, "Please give your name and write a question"),
        ({"question": "x" * 4001}, "at most 4,000 characters"),
        ({"question": "a\x00b"}, "Please give your name and write a question"),
        ({"email": "eve@"}, "This is no e-mail address: eve@"),
    ],
)
def test_a_bad_question_is_said_beside_what_was_written(
    client: Any, page: Any, wrong: dict[str, str], words: str
) -> None:
    answer = send(client, page, None, **wrong)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Dispute.objects.exists()


def test_what_was_written_is_shown_as_text(client: Any, page: Any) -> None:
    send(client, page, name="<b>Eve</b>", question="<script>alert(1)</script>")
    text = client.get(page.link.path).content.decode()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_form_of_another_site_asks_nothing(page: Any) -> None:
    assert send(Client(enforce_csrf_checks=True), page).status_code == 403
    assert not Dispute.objects.exists()


def test_whoever_has_another_link_reads_nothing_of_it(client: Any, page: Any) -> None:
    asked(page)
    second = another_link(page.invoice)
    assert "Why so many?" not in client.get(second.path).content.decode()
    send(client, page, second)
    assert Dispute.objects.count() == 2


def test_finance_hears_of_it_where_the_settings_say_so_or_at_the_seller(page: Any, settings: Any) -> None:
    dispute = asked(page)
    tell_finance(dispute.pk)
    settings.DISPUTE_EMAILS = ["finance@acme.example"]
    tell_finance(dispute.pk)
    assert [message.to for message in mail.outbox] == [["billing@acme.example"], ["finance@acme.example"]]
    assert "Why so many?" in mail.outbox[0].body
    assert mail.outbox[0].reply_to == ["eve@buyer.example"]


def test_the_customer_gets_the_answer_in_their_language(hosted: Any, django_capture_on_commit_callbacks: Any) -> None:
    dispute = asked(hosted(locale="de-DE"))
    with django_capture_on_commit_callbacks() as queued:
        answered(dispute)
    assert len(queued) == 1
    tell_customer(dispute.pk)
    (message,) = mail.outbox
    assert (message.to, message.reply_to) == (["eve@buyer.example"], ["billing@acme.example"])
    assert message.subject.startswith("Ihre Frage zu ACME-")
    assert message.body.startswith("Two busy days.")


def test_a_question_without_an_address_is_answered_on_the_page_only(
    page: Any, django_capture_on_commit_callbacks: Any
) -> None:
    dispute = services.ask(link=page.link, line=page.tokens, now=clock.now(), **GOOD | {"email": ""})
    with django_capture_on_commit_callbacks() as queued:
        answered(dispute)
    assert queued == []


def test_it_is_answered_once_and_settled_once(page: Any) -> None:
    dispute = asked(page)
    with pytest.raises(NoSuchMove, match="in words"):
        services.answer(dispute_id=dispute.pk, text="  ", user=None, now=clock.now())
    answered(dispute)
    with pytest.raises(NoSuchMove, match="answered already"):
        answered(dispute)
    services.settle(dispute_id=dispute.pk, outcome="Explained.", user=None, now=clock.now())
    for again in (services.settle, services.answer):
        with pytest.raises(NoSuchMove, match="settled already"):
            again(dispute_id=dispute.pk, **{"outcome" if again is services.settle else "text": "x"},
                  user=None, now=clock.now())  # fmt: skip
    dispute.refresh_from_db()
    assert (dispute.answer, dispute.outcome) == ("Two busy days.", "Explained.")


def test_what_came_of_it_is_for_colleagues(client: Any, page: Any) -> None:
    dispute = asked(page)
    services.settle(dispute_id=dispute.pk, outcome="A known crank.", user=None, now=clock.now())
    text = client.get(page.link.path).content.decode()
    assert "Closed." in text
    assert "crank" not in text


@pytest.mark.parametrize("change", [{"question": "Nothing."}, {"state": "settled", "outcome": "x"}, {"name": "Bob"}])
def test_a_question_is_not_rewritten_and_does_not_open_again(page: Any, change: dict[str, str]) -> None:
    dispute = asked(page)
    services.settle(dispute_id=dispute.pk, outcome="x", user=None, now=clock.now())
    again = {"state": "open", "outcome": ""} if "state" in change else change
    with pytest.raises(DatabaseError):
        Dispute.objects.filter(pk=dispute.pk).update(**again)


def test_an_answer_has_words(page: Any) -> None:
    dispute = asked(page)
    with pytest.raises(IntegrityError, match="dispute_answer"):
        Dispute.objects.filter(pk=dispute.pk).update(state="answered")


def test_a_line_of_another_invoice_is_asked_about_by_its_own_link_only(client: Any, page: Any) -> None:
    other = make_issued()
    beyond = page.invoice.lines.count() + 1
    answer = client.post(reverse("hosted_ask", args=[page.link.token, beyond]), GOOD)
    assert answer.status_code == 404
    assert not Dispute.objects.filter(line__invoice=other).exists()

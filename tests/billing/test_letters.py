"""Letters: what may stand in them, what is refused, and what goes out when one breaks later."""

import pytest
from django.core import mail

from billing.invoicing.delivery.letters import BUILT_IN, EXAMPLES, LANGUAGES, Letter, LetterBroken, check, filled
from billing.invoicing.delivery.models import Delivery, MailTemplate
from billing.invoicing.delivery.services import send_invoices, write_letter
from tests.billing.issued import NOW, make_issued

GOOD = Letter("{{ title }} {{ number }}", "Dear {{ customer }}, {{ total }} by {{ due_date }}.")


@pytest.fixture(autouse=True)
def _documents(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.mark.parametrize("language", [code for code, _ in LANGUAGES])
def test_each_built_in_letter_comes_out_for_each_example(language):
    check(BUILT_IN[language])
    text = filled(BUILT_IN[language], EXAMPLES[0])
    assert "INV-000123" in text.subject
    assert "IBAN DE02 1203 0000 0000 2020 51" in text.body


@pytest.mark.parametrize(
    ("subject", "body", "sentence"),
    [
        ("{{ number", "Hello {% if %}", "The text cannot be read"),
        ("{{ number }}", "Dear {{ custmer }}", "names “custmer”, which there is not: use one of title, number"),
        ("{{ number }}", "{% include 'admin/base.html' %}", "a letter can include nothing"),
        ("{{ credit }}", "Hello", "The subject comes out empty"),
        ("{{ number }}", "{{ number.a.b|add:1 }}", "names “number.a.b”"),
    ],
)
def test_a_letter_that_does_not_come_out_is_refused_with_the_reason(subject, body, sentence):
    with pytest.raises(LetterBroken, match=sentence):
        check(Letter(subject, body))


def test_a_subject_stays_one_line_whatever_the_names_hold():
    texts = EXAMPLES[0] | {"number": "1\r\nBcc: x@y.example"}
    assert filled(GOOD, texts).subject == "Invoice 1 Bcc: x@y.example"


@pytest.mark.django_db
def test_the_sellers_own_letter_goes_before_that_of_all_sellers():
    invoice = make_issued()
    who = {"language": "en", "user": None, "now": NOW}
    write_letter(entity=None, subject="For all {{ number }}", body="Hello", **who)
    own = write_letter(entity=invoice.entity, subject="Ours {{ number }}", body="Dear {{ customer }}", **who)
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    assert mail.outbox[0].subject == "Ours INV-000001"
    assert mail.outbox[0].body == "Dear Acme Inc.\n"
    own.delete()
    other = make_issued(number="C-2")
    send_invoices(invoice_ids=[other.pk], user=None, now=NOW)
    assert mail.outbox[1].subject == "For all INV-000002"


@pytest.mark.django_db
def test_the_letter_is_in_the_customers_language():
    invoice = make_issued(customer__locale="de-DE")
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    assert "Guten Tag" in mail.outbox[0].body
    assert '<html lang="de">' in mail.outbox[0].alternatives[0][0]


@pytest.mark.django_db
def test_a_letter_that_breaks_later_gives_way_to_the_built_in_one_and_the_message_says_so():
    invoice = make_issued()
    MailTemplate.objects.create(language="en", subject="{{ gone }}", body="Hello", changed_at=NOW)
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    assert mail.outbox[0].subject == "Invoice INV-000001 from Miernik Łódź Sp. z o.o."
    assert "“English, all legal entities” could not be used" in Delivery.objects.get().remark


@pytest.mark.django_db
def test_a_letter_that_does_not_come_out_is_not_written():
    with pytest.raises(LetterBroken):
        write_letter(entity=None, language="en", subject="{{ gone }}", body="x", user=None, now=NOW)
    assert not MailTemplate.objects.exists()

"""Pages of e-mails and letters."""

import pytest
from django.core import mail
from django.urls import reverse

from billing.invoicing.delivery.bounces import Bounce
from billing.invoicing.delivery.models import Delivery, MailTemplate
from billing.invoicing.delivery.services import request_deliveries, send_invoices, take_bounce
from tests.billing.issued import NOW, make_issued

pytestmark = pytest.mark.django_db


def test_a_message_shows_its_state_and_a_letter_that_does_not_come_out_is_refused(admin_client):
    (delivery,), _ = request_deliveries(invoice_ids=[make_issued().pk], user=None, now=NOW)
    assert "Waiting" in admin_client.get(reverse("admin:billing_delivery_changelist")).text
    assert "Do not send" in admin_client.get(reverse("admin:billing_delivery_change", args=[delivery.pk])).text
    add, good = reverse("admin:billing_mailtemplate_add"), {"entity": "", "language": "en", "subject": "{{ number }}"}
    assert "which there is not" in admin_client.post(add, good | {"body": "{{ gone }}"}).text
    assert admin_client.post(add, good | {"body": "Dear {{ customer }}"}).status_code == 302
    page = admin_client.get(reverse("admin:billing_mailtemplate_change", args=[MailTemplate.objects.get().pk]))
    assert "Dear Acme Inc." in page.text


def test_what_came_back_is_sent_again_to_the_address_that_is_right(admin_client, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    invoice = make_issued()
    send_invoices(invoice_ids=[invoice.pk], user=None, now=NOW)
    first = Delivery.objects.get()
    take_bounce(bounce=Bounce(first.message_id, {"ap@acme.example": "550 no such mailbox"}))
    invoice.customer.emails = ["bills@acme.example"]
    invoice.customer.save()
    page = admin_client.get(reverse("admin:billing_delivery_change", args=[first.pk])).text
    assert "Came back" in page
    assert "ap@acme.example: 550 no such mailbox" in page
    dialog = reverse("admin:billing_delivery_send_again", args=[first.pk])
    assert "bills@acme.example</textarea>" in admin_client.get(dialog).text
    told = admin_client.post(dialog, {"_form_submitted": "True", "to": "bills@acme"}).text
    assert "“bills@acme” is no e-mail address" in told
    to = "bills@acme.example\ncfo@acme.example, bills@acme.example"
    admin_client.post(dialog, {"_form_submitted": "True", "to": to})
    assert [message.to for message in mail.outbox] == [["ap@acme.example"], ["bills@acme.example", "cfo@acme.example"]]
    assert mail.outbox[1].attachments == mail.outbox[0].attachments
    assert mail.outbox[1].extra_headers != mail.outbox[0].extra_headers
    admin_client.post(dialog, {"_form_submitted": "True", "to": to})  # the same button in another tab
    assert len(mail.outbox) == 2

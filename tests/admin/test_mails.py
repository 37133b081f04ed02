"""Pages of e-mails and letters."""

import pytest
from django.urls import reverse

from billing.invoicing.delivery.models import MailTemplate
from billing.invoicing.delivery.services import request_deliveries
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

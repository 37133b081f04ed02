"""Pages of e-mails and of the letters that go with invoices."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from billing.invoicing.delivery import services
from billing.invoicing.delivery.forms import LetterForm, SendAgainForm
from billing.invoicing.delivery.letters import EXAMPLES, Letter, LetterBroken, filled
from billing.invoicing.delivery.models import Delivery, MailTemplate
from billing.invoicing.delivery.states import DeliveryState
from config import clock
from customers.backoffice import NONE, OfficeAdmin, RecordAdmin, badge, change_url, granted, leave_dialog, link_to

STATE_BADGES = {
    DeliveryState.WAITING.label: "info",
    DeliveryState.SENT.label: "success",
    DeliveryState.FAILED.label: "danger",
    DeliveryState.BOUNCED.label: "danger",
}


@admin.register(Delivery)
class DeliveryAdmin(RecordAdmin):
    """What was sent to whom, what waits, and what came back."""

    list_display = ("asked", "invoice_link", "state_badge", "to", "what_happened", "next_text")
    list_filter = (("state", ChoicesDropdownFilter), ("requested_at", RangeDateTimeFilter))
    list_select_related = ("invoice",)
    search_fields = ("invoice__number", "message_id")
    search_help_text = "Invoice number or message id"
    empty_hint = "Issue an invoice and send it from its page or from the list."
    fields = (
        "invoice_link", "state_badge", "to", ("cc_text", "bcc_text"), ("requested_at", "requested_by"),
        ("attempts", "next_text", "sent_at"), "what_happened", "message_id",
    )  # fmt: skip
    readonly_fields = ("invoice_link", "state_badge", "to", "cc_text", "bcc_text", "next_text", "what_happened")
    actions_detail = ("send_again", "take_back")
    has_issue_permission = granted("billing.issue_invoice")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A message that waits can be taken back, any other sent once more."""
        delivery = self.get_object(request, unquote(str(object_id)))
        wanted = "take_back" if delivery and delivery.state == DeliveryState.WAITING else "send_again"
        return [
            step for step in super().get_actions_detail(request, object_id) if step.path.replace("-", "_") == wanted
        ]

    @display(description="Asked for", ordering="requested_at")
    def asked(self, delivery: Delivery) -> str:
        """When somebody or something asked for it."""
        return f"{delivery.requested_at:%Y-%m-%d %H:%M}"

    @display(description="Invoice", ordering="invoice__number")
    def invoice_link(self, delivery: Delivery) -> str:
        """What was sent."""
        return link_to(delivery.invoice, delivery.invoice.number or "")

    @display(description="State", ordering="state")
    def state_badge(self, delivery: Delivery) -> str:
        """Waiting, sent, not sent, or came back."""
        return badge(delivery.get_state_display(), STATE_BADGES)

    @display(description="To")
    def to(self, delivery: Delivery) -> str:
        """The addresses."""
        return ", ".join(delivery.recipients)

    @display(description="Copies to")
    def cc_text(self, delivery: Delivery) -> str:
        """Those who got a copy."""
        return ", ".join(delivery.cc) or NONE

    @display(description="Hidden copies to")
    def bcc_text(self, delivery: Delivery) -> str:
        """Those who got a copy that nobody sees."""
        return ", ".join(delivery.bcc) or NONE

    @display(description="Next try", ordering="next_try_at")
    def next_text(self, delivery: Delivery) -> str:
        """When it is sent or tried again, where it waits."""
        waits = delivery.state == DeliveryState.WAITING and delivery.next_try_at
        return f"{delivery.next_try_at:%Y-%m-%d %H:%M}" if waits else NONE

    @display(description="What happened")
    def what_happened(self, delivery: Delivery) -> str:
        """The last error, addresses that were refused, and what went otherwise than it was set up."""
        told = [text for text in (delivery.error, delivery.remark) if text]
        told += [f"{address}: {reason}" for address, reason in delivery.refused.items()]
        return format_html_join(mark_safe("<br>"), "{}", ((text,) for text in told)) or NONE

    @action(description="Send again", icon="mail", permissions=["issue"], dialog={
        "title": "Send this invoice again?", "form_class": SendAgainForm, "form_submit_text": "Send",
        "description": "A new message with the same document. Copies go to whom the customer’s page names.",
    })  # fmt: skip
    def send_again(self, request: HttpRequest, form: SendAgainForm, object_id: str) -> HttpResponse:
        """A new message of the same invoice."""
        delivery = self.get_object(request, unquote(object_id))
        to = form.cleaned_data["to"]
        result = services.send_invoices(
            invoice_ids=[delivery.invoice_id], user=request.user, now=clock.now(), to=to
        )  # fmt: skip
        for _, reason in result.skipped:
            messages.error(request, reason)
        if result.done:
            self.log_change(request, delivery.invoice, f"Sent again to {', '.join(to)}.")
            messages.success(request, f"{delivery.invoice} was sent again to {', '.join(to)}.")
        last = delivery.invoice.deliveries.first()
        return leave_dialog(change_url(last or delivery))

    @action(description="Do not send", icon="cancel", permissions=["issue"], dialog={
        "title": "Take this message back?", "form_class": BaseDialogForm, "form_submit_text": "Do not send",
        "description": "It is not tried any more. The invoice stays issued and can be sent again.",
    })  # fmt: skip
    def take_back(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Waiting → not sent."""
        delivery = services.give_up(delivery_id=int(unquote(object_id)), now=clock.now())
        if delivery.state == DeliveryState.FAILED:
            self.log_change(request, delivery, "Taken back.")
            messages.success(request, "The message is not sent.")
        else:
            messages.error(request, f"It does not wait any more: it is {delivery.get_state_display().lower()}.")
        return leave_dialog(change_url(delivery))


@admin.register(MailTemplate)
class LetterAdmin(OfficeAdmin):
    """Letters by seller and language, with what comes out of them."""

    form = LetterForm
    list_display = ("language", "whose", "subject", "changed_at", "changed_by")
    list_select_related = ("entity", "changed_by")
    list_filter = ("language",)
    fields = (("entity", "language"), "subject", "body", "preview")
    readonly_fields = ("preview",)
    empty_hint = "Until one is written, the built-in letters go out: English, German, French and Japanese."

    def save_model(self, request: HttpRequest, obj: MailTemplate, form: Any, change: bool) -> None:
        """As the service writes it."""
        made = services.write_letter(
            template=obj if change else None, entity=obj.entity, language=obj.language, subject=obj.subject,
            body=obj.body, user=request.user, now=clock.now(),
        )  # fmt: skip
        obj.pk = made.pk

    @display(description="For")
    def whose(self, letter: MailTemplate) -> str:
        """One seller, or all."""
        return link_to(letter.entity) if letter.entity else "All legal entities"

    @display(description="Preview")
    def preview(self, letter: MailTemplate) -> str:
        """What comes out for example invoices, as it was last saved."""
        if letter._state.adding:
            return "Save the letter to see what comes out."
        try:
            shown = [filled(Letter(letter.subject, letter.body), texts) for texts in EXAMPLES]
        except LetterBroken as error:
            return f"It does not come out, and the built-in letter goes instead. {error}"
        return format_html_join(
            "",
            '<div class="mb-card" style="margin-bottom: 12px"><h2>{}</h2>'
            '<p style="white-space: pre-line">{}</p></div>',
            ((each.subject, each.body) for each in shown),
        )  # fmt: skip

"""What all pages of the back office share: the house's list defaults, read-only records, money, links and dialogs.

It lives here because every app may import customers. Amounts print with the ISO code, never with a sign: “USD 549.81”.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Model
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from customers.currencies import MINOR_PLACES

NONE = "-"  # as the skin prints a field without a value


def amount_text(amount: Decimal | None, currency: str) -> str:
    """An amount for people: the currency's code, thousands apart, all places of its minor unit and more if it has more.

    `Decimal("-1234.5"), "USD"` is “USD −1,234.50”; None is a dash.
    """
    if amount is None:
        return NONE
    digits = amount.normalize().as_tuple().exponent
    places = max(MINOR_PLACES.get(currency, 2), -digits if isinstance(digits, int) else 0)
    sign = "−" if amount < 0 else ""
    return f"{currency} {sign}{abs(amount):,.{places}f}"


def quantity_text(quantity: Decimal | int | None) -> str:
    """A quantity for people: thousands apart, no trailing zeros. None is a dash."""
    if quantity is None:
        return NONE
    text = f"{quantity:,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def money(amount: Decimal | None, currency: str) -> SafeString:
    """`amount_text` in figures of equal width, aligned right: a column of them reads as a column."""
    return format_html('<span class="mb-money">{}</span>', amount_text(amount, currency))


def badge(text: str, kinds: Mapping[str, str]) -> SafeString:
    """A state as a small label; `kinds` says which texts are good, bad or waiting. The text says it, colour helps."""
    return format_html('<span class="mb-badge {}">{}</span>', kinds.get(text, ""), text)


def change_url(record: Model) -> str:
    """Address of the record's page in the admin."""
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def list_url(model: type[Model], query: str = "") -> str:
    """Address of the model's list in the admin, filtered by `query` (“state__exact=draft”)."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{query}" if query else address


def link_to(record: Model | None, text: str = "") -> SafeString | str:
    """A link to the record's page; a dash where there is none."""
    if record is None:
        return NONE
    return format_html('<a class="mb-link" href="{}">{}</a>', change_url(record), text or str(record))


def granted(permission: str) -> Callable[..., bool]:
    """A `has_…_permission` method that asks for a model permission, for the buttons that name it.

    Buttons do not name the permission itself (“billing.issue_invoice”): the skin would look for it in the database
    during the system checks, before the first migration has made it.
    """

    def has_permission(self: Any, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm(permission))

    return has_permission


def leave_dialog(url: str) -> HttpResponse:
    """The answer of a dialog that did its work: the whole page goes to `url` (a plain redirect would land in it)."""
    return HttpResponse(headers={"HX-Redirect": url})


class OfficeAdmin(ModelAdmin):
    """The house's defaults. Rows are never deleted in bulk; a single one only where a subclass lets it."""

    list_filter_submit = True
    warn_unsaved_form = True
    list_per_page = 50
    empty_hint = ""
    """What an empty list says: where its rows come from."""
    needs: tuple[type[Model], ...] = ()
    """What must exist before a row can be made."""

    def missing(self) -> list[tuple[str, str]]:
        """What an empty list asks to be created first: name and address of each."""
        return [
            (str(model._meta.verbose_name), reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add"))
            for model in self.needs
            if not model._default_manager.exists()
        ]

    def carry_out(
        self, request: HttpRequest, about: Model, done: str, verb: Callable[[], Any], *,
        refusals: type[Exception], form: BaseForm | None = None, after: str = "",
    ) -> bool:  # fmt: skip
        """Run a verb in one transaction, record it in the history of `about`, and say how it went; whether it was done.

        What it refuses stands on the form, or above the page where there is none; `after` follows what is said.
        """
        try:
            with transaction.atomic():
                verb()
        except refusals as error:
            if form is None:
                messages.error(request, str(error))
            else:
                form.add_error(None, str(error))
            return False
        self.log_change(request, about, done)
        messages.success(request, f"{done}{after}")
        return True

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """All but “delete selected”: what counts in the books is never deleted in passing."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted, unless a subclass says which rows the database lets go."""
        return False


class RecordAdmin(OfficeAdmin):
    """A list and pages of records that nobody edits: they are made by services and kept by triggers."""

    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Records are made by what happens, not by a form."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Records stand as they are."""
        return False


class RecordInline(TabularInline):
    """Rows of a record, shown and never edited."""

    extra = 0
    can_delete = False
    show_change_link = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See RecordAdmin."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See RecordAdmin."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See RecordAdmin."""
        return False

"""Pages of the books: journal, obligations with their schedules, accounting periods, chart of accounts. Read-only, but
for the buttons that recognise revenue and close a month."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, Min, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from config import clock
from customers.backoffice import (
    NONE,
    RecordAdmin,
    RecordInline,
    badge,
    change_url,
    granted,
    leave_dialog,
    link_to,
    money,
)
from revenue.ledger import services
from revenue.ledger.errors import LedgerError
from revenue.ledger.models import Account, AccountingPeriod, JournalEntry, JournalLine, Obligation, ScheduleLine

PERIOD_BADGES = {AccountingPeriod.State.OPEN.label: "success", AccountingPeriod.State.CLOSED.label: ""}
EMPTY = mark_safe("&nbsp;")
SOURCES = {"invoice": "billing_invoice", "payment": "billing_payment"}


@admin.register(Account)
class AccountAdmin(RecordAdmin):
    """The chart of accounts."""

    list_display = ("code", "name", "kind")
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("code", "name")
    fields = (("code", "name", "kind"),)


@admin.register(AccountingPeriod)
class AccountingPeriodAdmin(RecordAdmin):
    """Months of the books, open or closed."""

    list_display = ("month_name", "entity", "state_badge", "entry_count", "closed_at", "closed_by")
    list_filter = (("state", ChoicesDropdownFilter), ("entity", RelatedDropdownFilter))
    list_select_related = ("entity", "closed_by")
    fields = (("month_name", "entity", "state_badge"), ("closed_at", "closed_by"), "entries_link")
    readonly_fields = ("month_name", "state_badge", "entries_link")
    actions_detail = ("close", "recognise")
    empty_hint = "A month opens with its first journal entry."
    has_close_permission = granted("revenue.close_accountingperiod")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccountingPeriod]:
        """With the number of entries."""
        return super().get_queryset(request).select_related("entity").annotate(posted=Count("entries"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only an open month has anything to do."""
        period = self.get_object(request, unquote(str(object_id)))
        is_open = period is not None and period.state == AccountingPeriod.State.OPEN
        return super().get_actions_detail(request, object_id) if is_open else []

    @display(description="Month", ordering="month")
    def month_name(self, period: AccountingPeriod) -> str:
        """E.g. 2024-03."""
        return f"{period.month:%Y-%m}"

    @display(description="State", ordering="state")
    def state_badge(self, period: AccountingPeriod) -> str:
        """Open or closed."""
        return badge(period.get_state_display(), PERIOD_BADGES)

    @display(description="Entries", ordering="posted")
    def entry_count(self, period: Any) -> int:
        """Journal entries posted into it."""
        return period.posted

    @display(description="Entries")
    def entries_link(self, period: Any) -> str:
        """To the journal of the month."""
        address = f"{reverse('admin:revenue_journalentry_changelist')}?period__id__exact={period.pk}"
        return format_html('<a class="mb-link" href="{}">{} entries</a>', address, period.posted)

    @action(description="Recognise revenue", icon="event_repeat", permissions=["close"], dialog={
        "title": "Recognise revenue through this month?",
        "description": "Posts what was earned up to the month's end and is not in the books yet.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Recognise",
    })  # fmt: skip
    def recognise(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Post what was earned."""
        period = self.get_object(request, unquote(object_id))
        try:
            services.recognise(through=period.month, entity=period.entity, now=clock.now())
        except LedgerError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, period, "Revenue recognised.")
            messages.success(request, f"Revenue of {period.entity} is recognised through {period.month:%Y-%m}.")
        return leave_dialog(change_url(period))

    @action(description="Close", icon="lock", variant=ActionVariant.PRIMARY, permissions=["close"], dialog={
        "title": "Close this month?",
        "description": "Nothing posts into it from then on; what concerns it goes to the earliest open month.",
        "form_class": BaseDialogForm,
        "form_submit_text": "Close the month",
    })  # fmt: skip
    def close(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Lock the month, or say what comes first."""
        period = self.get_object(request, unquote(object_id))
        try:
            services.close_period(entity=period.entity, month=period.month, user=request.user, now=clock.now())
        except LedgerError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, period, "Closed.")
            messages.success(request, f"{period.month:%Y-%m} of {period.entity} is closed.")
        return leave_dialog(change_url(period))


class JournalLineInline(RecordInline):
    """The two sides of an entry."""

    model = JournalLine
    fields = readonly_fields = ("account", "debit_money", "credit_money", "customer_link", "contract_link")
    verbose_name_plural = "lines"

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalLine]:
        """With what the rows print; debits first, as books are read."""
        related = ("account", "customer", "contract")
        return super().get_queryset(request).select_related(*related).order_by("-debit", "account__code", "id")

    @display(description="Debit")
    def debit_money(self, line: JournalLine) -> str:
        """The left side."""
        return money(line.debit, line.currency) if line.debit else EMPTY

    @display(description="Credit")
    def credit_money(self, line: JournalLine) -> str:
        """The right side."""
        return money(line.credit, line.currency) if line.credit else EMPTY

    @display(description="Customer")
    def customer_link(self, line: JournalLine) -> str:
        """Whose."""
        return link_to(line.customer)

    @display(description="Contract")
    def contract_link(self, line: JournalLine) -> str:
        """Under which contract."""
        return link_to(line.contract)


@admin.register(JournalEntry)
class JournalEntryAdmin(RecordAdmin):
    """The journal: every entry balances and stands for ever."""

    list_display = ("__str__", "date", "event", "memo", "total_money", "entity")
    list_filter = (("event", ChoicesDropdownFilter), ("entity", RelatedDropdownFilter), ("date", RangeDateFilter))
    list_select_related = ("entity",)
    search_fields = ("memo", "source", "lines__customer__legal_name")
    search_help_text = "Memo (with the invoice number), source, or customer"
    date_hierarchy = "date"
    empty_hint = "Entries are posted when invoices are issued, payments recorded and revenue recognised."
    fields = (("date", "event"), ("memo", "source_link"), ("entity", "period", "origin"), ("total", "recorded_at"))
    readonly_fields = ("source_link", "total", "origin")
    inlines = (JournalLineInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """With the total of its debits. An entry has one currency."""
        entries = super().get_queryset(request).select_related("entity", "period__entity")
        return entries.annotate(debits=Sum("lines__debit"), currency=Min("lines__currency"))

    @display(description="Total")
    def total_money(self, entry: Any) -> str:
        """Σ debits = Σ credits."""
        return money(entry.debits, entry.currency or "")

    @display(description="Total")
    def total(self, entry: Any) -> str:
        """Σ debits = Σ credits."""
        return money(entry.debits, entry.currency or "")

    @display(description="Concerns")
    def origin(self, entry: JournalEntry) -> str:
        """The month it belongs to, where that was closed already."""
        return f"{entry.origin_month:%Y-%m}"

    @display(description="Source")
    def source_link(self, entry: JournalEntry) -> str:
        """The document that made it, where it has a page."""
        kind, _, key = entry.source.partition("/")
        if kind not in SOURCES or not key.isdecimal():
            return entry.source or NONE
        address = reverse(f"admin:{SOURCES[kind]}_change", args=[key])
        return format_html('<a class="mb-link" href="{}">{} {}</a>', address, kind.capitalize(), key)


class ScheduleInline(RecordInline):
    """Planned revenue by month."""

    model = ScheduleLine
    fields = readonly_fields = ("month_text", "amount_money", "cumulative_money")
    verbose_name_plural = "schedule"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScheduleLine]:
        """With the currency."""
        return super().get_queryset(request).select_related("obligation").order_by("month")

    @display(description="Month")
    def month_text(self, line: ScheduleLine) -> str:
        """E.g. 2024-03."""
        return f"{line.month:%Y-%m}"

    @display(description="Revenue")
    def amount_money(self, line: ScheduleLine) -> str:
        """Of that month."""
        return money(line.amount, line.obligation.currency)

    @display(description="Up to and with it")
    def cumulative_money(self, line: ScheduleLine) -> str:
        """The running total."""
        return money(line.cumulative, line.obligation.currency)


@admin.register(Obligation)
class ObligationAdmin(RecordAdmin):
    """Promises under ASC 606, and when they become revenue."""

    list_display = (
        "what", "customer_link", "contract_link", "kind", "price_money", "recognised_money", "service_start",
        "service_end",
    )  # fmt: skip
    ordering = ("-service_start", "-pk")
    empty_hint = "Each issued line is a promise to deliver, and gets its schedule when it is posted."
    list_filter = (("kind", ChoicesDropdownFilter), ("entity", RelatedDropdownFilter), "currency")
    list_select_related = ("contract__customer", "line__invoice", "slot__stream__charge_code")
    search_fields = ("contract__number", "contract__customer__legal_name", "line__invoice__number")
    search_help_text = "Contract, customer or invoice number"
    fields = (
        ("what", "kind"),
        ("contract_link", "entity"),
        ("price_money", "recognised_money"),
        ("service_start", "service_end", "invoice_link"),
    )
    readonly_fields = ("what", "contract_link", "price_money", "recognised_money", "invoice_link")
    inlines = (ScheduleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Obligation]:
        """With what stands recognised."""
        return super().get_queryset(request).annotate(recognised=Sum("recognitions__amount"))

    @display(description="Promise")
    def what(self, obligation: Obligation) -> str:
        """The line of a fee, or the code of what was used."""
        if obligation.line:
            return obligation.line.description
        if obligation.slot is None:
            return NONE
        code = obligation.slot.stream.charge_code
        return f"Usage: {code}" if code else f"Agreed spending: {obligation.slot.get_kind_display().lower()}"

    @display(description="Contract", ordering="contract__number")
    def contract_link(self, obligation: Obligation) -> str:
        """Under which contract."""
        return link_to(obligation.contract)

    @display(description="Customer", ordering="contract__customer__legal_name")
    def customer_link(self, obligation: Obligation) -> str:
        """To whom it was promised."""
        return link_to(obligation.contract.customer)

    @display(description="Price", ordering="price")
    def price_money(self, obligation: Obligation) -> str:
        """Allocated; usage has none in advance."""
        return money(obligation.price, obligation.currency)

    @display(description="Recognised", ordering="recognised")
    def recognised_money(self, obligation: Any) -> str:
        """In the books so far."""
        return money(obligation.recognised, obligation.currency)

    @display(description="Invoice")
    def invoice_link(self, obligation: Obligation) -> str:
        """The invoice of a fee."""
        return link_to(obligation.line.invoice if obligation.line else None)

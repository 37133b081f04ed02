"""Pages of products, plans and their versions with charges."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from billing.catalog import drafting, services
from billing.catalog.builder.admin import ChargeDraftInline
from billing.catalog.builder.start_pages import urls as start_urls
from billing.catalog.builder.views import urls as builder_urls
from billing.catalog.errors import CatalogError
from billing.catalog.forms import NewVersionForm
from billing.catalog.models import Charge, Plan, PlanVersion, Product
from billing.catalog.pages.admin import VersionButtons
from billing.catalog.pages.comparing import compare
from billing.catalog.pages.importing import import_view
from billing.catalog.pages.queries import with_offer, with_subscribers
from billing.catalog.states import VersionState
from billing.catalog.wording import price_in_words
from billing.pricing import parse_price
from config import clock
from customers.backoffice import NONE, OfficeAdmin, RecordInline, badge, change_url, granted, leave_dialog, link_to

VERSION_BADGES = {VersionState.DRAFT.label: "warning", VersionState.PUBLISHED.label: "success"}


def state_badge(version: PlanVersion) -> SafeString:
    """The state of a version; of a draft also when it is to be published by itself."""
    state = badge(version.get_state_display(), VERSION_BADGES)
    if version.state != VersionState.DRAFT or version.publish_at is None:
        return state
    return format_html('{} <span class="mb-muted">until {}</span>', state, version.planned)


def figure(number: int) -> SafeString:
    """A count in a column: figures of equal width, aligned right."""
    return format_html('<span class="mb-figure">{}</span>', f"{number:,}")


@display(description="In words")
def price_words(charge: Charge) -> SafeString | str:
    """Each price of the charge in words, a line a currency."""
    unit = charge.meter.unit if charge.meter else charge.unit or "unit"
    rows = charge.prices.all() if charge.pk else ()
    return (
        format_html_join("", "<div>{}</div>", ((price_in_words(parse_price(row.price), unit),) for row in rows)) or NONE
    )


@admin.register(Product)
class ProductAdmin(OfficeAdmin):
    """What is sold."""

    list_display = ("name", "code", "plan_count")
    search_fields = ("name", "code")
    prepopulated_fields = {"code": ("name",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        """With the number of plans."""
        return super().get_queryset(request).annotate(plans_of=Count("plans"))

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """A code is proposed once, for a new product."""
        return {} if obj else self.prepopulated_fields

    @display(description="Plans", ordering="plans_of")
    def plan_count(self, product: Any) -> int:
        """How many plans offer it."""
        return product.plans_of


class VersionInline(RecordInline):
    """The versions of a plan, the newest first."""

    model = PlanVersion
    fields = readonly_fields = (
        "version_link", "version_state", "note", "published_at", "published_by", "subscriber_count",
    )  # fmt: skip
    verbose_name_plural = "versions"
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanVersion]:
        """With what the rows print."""
        rows = super().get_queryset(request).select_related("plan", "published_by")
        return with_subscribers(rows, clock.now())

    @display(description="Subscriptions")
    def subscriber_count(self, version: Any) -> SafeString:
        """How many there are today."""
        return figure(version.subscribers)

    @display(description="Version")
    def version_link(self, version: PlanVersion) -> str:
        """To the version's charges."""
        return link_to(version, f"Version {version.number}")

    @display(description="State")
    def version_state(self, version: PlanVersion) -> str:
        """Draft, published or retired; for a draft, when it is published by itself."""
        return state_badge(version)


@admin.register(Plan)
class PlanAdmin(OfficeAdmin):
    """Offers, in versions."""

    list_display = (
        "name", "code", "product", "published_number", "draft_count", "subscriber_count", "currency_list",
    )  # fmt: skip
    list_filter = (("product", RelatedDropdownFilter),)
    list_select_related = ("product",)
    search_fields = ("name", "code", "product__name")
    autocomplete_fields = ("product",)
    inlines = (VersionInline,)
    needs = (Product,)
    actions_detail = ("new_version",)
    actions_list = ("start_from_template", "import_plan", "compare_versions")
    empty_hint = "Start from a template, or add a plan of your own."
    has_version_permission = has_import_permission = has_start_permission = granted("billing.add_planversion")
    has_read_permission = granted("billing.view_planversion")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        """With the state of its versions, and who is on them."""
        return with_offer(super().get_queryset(request), clock.now())

    def get_urls(self) -> list[Any]:
        """With the pages that compare and import, and the ready-made plans."""
        here, view = {"model_admin": self}, self.admin_site.admin_view
        return [
            path("compare/", view(compare), here, name="billing_plan_compare"),
            path("import/", view(import_view), here, name="billing_plan_import"),
            *start_urls(self),
            *super().get_urls(),
        ]

    @display(description="Published version", ordering="latest", empty_value="none yet")
    def published_number(self, plan: Any) -> SafeString | None:
        """The newest version that customers can have."""
        return figure(plan.latest) if plan.latest else None

    @display(description="Drafts", ordering="drafts")
    def draft_count(self, plan: Any) -> SafeString:
        """Versions in the making."""
        return figure(plan.drafts)

    @display(description="Subscriptions", ordering="subscribers")
    def subscriber_count(self, plan: Any) -> SafeString:
        """How many there are today, on any version."""
        return figure(plan.subscribers)

    @display(description="Sold in")
    def currency_list(self, plan: Any) -> str:
        """The currencies of the newest published version."""
        return ", ".join(plan.currencies) or NONE

    @action(description="Start from a template", icon="auto_awesome", permissions=["start"], url_path="from-template")
    def start_from_template(self, request: HttpRequest) -> HttpResponse:
        """To the ready-made plans."""
        return HttpResponseRedirect(reverse("admin:billing_plan_start"))

    @action(description="Import a plan", icon="upload_file", permissions=["import"])
    def import_plan(self, request: HttpRequest) -> HttpResponse:
        """To the page that reads a file."""
        return HttpResponseRedirect(reverse("admin:billing_plan_import"))

    @action(description="Compare versions", icon="compare_arrows", permissions=["read"])
    def compare_versions(self, request: HttpRequest) -> HttpResponse:
        """To the page that says what changed."""
        return HttpResponseRedirect(reverse("admin:billing_plan_compare"))

    @action(
        description="New version",
        icon="add",
        variant=ActionVariant.PRIMARY,
        permissions=["version"],
        dialog={
            "title": "New version",
            "description": "A draft that you can edit and publish; subscriptions stay on theirs until you change them.",
            "form_class": NewVersionForm,
            "form_submit_text": "Make a draft",
        },
    )
    def new_version(self, request: HttpRequest, form: NewVersionForm, object_id: str) -> HttpResponse:
        """A draft with the charges of the latest version."""
        plan = self.get_object(request, unquote(object_id))
        latest = plan.versions.order_by("-number").first()
        try:
            with transaction.atomic():
                version = services.new_version(plan=plan, note=form.cleaned_data["note"], copy_of=latest)
        except CatalogError as error:
            messages.error(request, str(error))
            return leave_dialog(change_url(plan))
        messages.success(request, f"{version} is a draft: edit its charges, then publish it.")
        return leave_dialog(change_url(version))


class ChargeRecordInline(RecordInline):
    """Charges of a published version."""

    model = Charge
    fields = readonly_fields = ("code", "name", "kind", "pay", "meter_link", "price_words", "own_terms")
    price_words = staticmethod(price_words)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        """With what the words need: the queries do not grow with the charges."""
        return super().get_queryset(request).select_related("code", "meter", "version__plan").prefetch_related("prices")

    @display(description="Meter")
    def meter_link(self, charge: Charge) -> str:
        """What is counted."""
        return link_to(charge.meter)

    @display(description="Terms of its own")
    def own_terms(self, charge: Charge) -> SafeString | str:
        """What it says otherwise than its contract and its kind do, a line each."""
        said = (
            ("Cadence", charge.cadence), ("Proration", charge.get_proration_display() if charge.proration else ""),
            ("Priced by", charge.get_window_display() if charge.window else ""),
            ("Heading", charge.invoice_group), ("Tax code", charge.tax_code),
            ("Revenue", charge.get_revenue_treatment_display() if charge.revenue_treatment else ""),
        )  # fmt: skip
        return format_html_join("", "<div>{}: {}</div>", ((name, value) for name, value in said if value)) or NONE


@admin.register(PlanVersion)
class PlanVersionAdmin(VersionButtons):
    """The dated form of a plan: a draft is edited, then published and from then on read-only."""

    list_display = ("__str__", "version_state", "note", "published_at", "subscriber_count")
    list_filter = (("state", ChoicesDropdownFilter), ("plan", RelatedDropdownFilter))
    list_select_related = ("plan",)
    search_fields = ("plan__name", "plan__code", "note")
    warn_unsaved_form = False  # the plan builder warns itself: the skin would watch each change of the page anew
    readonly_fields = (
        "plan_link", "number", "version_state", "published_at", "published_by", "subscriber_count", "confirmed",
        "reason", "retired_at", "retired_by", "publish_at",
    )  # fmt: skip
    change_form_before_template = "billing/admin/version_notice.html"
    empty_hint = "Open a plan and press “New version”."
    needs = (Plan,)

    def get_fields(self, request: HttpRequest, obj: PlanVersion | None = None) -> list[Any]:
        """What is known of a version in its state."""
        fields: list[Any] = [("plan_link", "number", "version_state"), "note"]
        if obj is not None and obj.published_at:
            fields.append(("published_at", "published_by", "subscriber_count"))
        if obj is not None and obj.published_at and obj.warnings:
            fields += ["confirmed", "reason"]
        if obj is not None and obj.retired_at:
            fields.append(("retired_at", "retired_by"))
        return fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanVersion]:
        """With the charges' prices at hand for their words."""
        charges = Prefetch("charges", Charge.objects.select_related("meter"))
        rows = super().get_queryset(request).select_related("plan__product", "published_by", "scheduled_by")
        return with_subscribers(rows.prefetch_related(charges), clock.now())

    def get_urls(self) -> list[Any]:
        """With what the plan builder asks."""
        return [*builder_urls(self.admin_site.admin_view), *super().get_urls()]

    def get_inlines(self, request: HttpRequest, obj: PlanVersion | None) -> list[Any]:
        """Forms for a draft that the user may change, else a table."""
        return [ChargeDraftInline if self.has_change_permission(request, obj) else ChargeRecordInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Versions start from their plan: “New version” there."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        """Only drafts change."""
        return super().has_change_permission(request, obj) and (obj is None or obj.state == VersionState.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        """Only drafts go away."""
        allowed = request.user.has_perm("billing.delete_planversion")
        return allowed and obj is not None and obj.state == VersionState.DRAFT

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Charges with their codes by name and their prices as rows."""
        product = form.instance.plan.product
        with transaction.atomic():
            for each in formset.forms:
                if each.has_changed() and not each.cleaned_data.get("DELETE"):
                    each.instance.code = drafting.charge_code(product=product, code=each.cleaned_data["code_name"])
            formset.save()
            for each in formset.forms:
                if "price_json" in each.changed_data and each.instance.pk:
                    drafting.set_prices(charge=each.instance, prices=each.cleaned_data["price_json"])

    @display(description="Plan")
    def plan_link(self, version: PlanVersion) -> str:
        """The plan, one click away."""
        return link_to(version.plan)

    @display(description="State", ordering="state")
    def version_state(self, version: PlanVersion) -> str:
        """Draft, published or retired; for a draft, when it is published by itself."""
        return state_badge(version)

    @display(description="Subscriptions", ordering="subscribers")
    def subscriber_count(self, version: Any) -> SafeString:
        """How many there are today."""
        return figure(version.subscribers)

    @display(description="Confirmed")
    def confirmed(self, version: PlanVersion) -> SafeString | str:
        """The warnings with which it was published."""
        return format_html_join("", "<div>{}</div>", ((sentence,) for sentence in version.warnings)) or NONE

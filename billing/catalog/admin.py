"""Pages of products, plans and their versions with charges."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import Count, Max, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.catalog import drafting, services
from billing.catalog.builder.admin import ChargeDraftInline
from billing.catalog.builder.start_pages import urls as start_urls
from billing.catalog.builder.views import urls as builder_urls
from billing.catalog.errors import CatalogError
from billing.catalog.forms import NewVersionForm
from billing.catalog.models import Charge, Plan, PlanVersion, Product
from billing.catalog.states import VersionState
from billing.catalog.wording import price_in_words
from billing.pricing import parse_price
from config import clock
from customers.backoffice import NONE, OfficeAdmin, RecordInline, badge, change_url, granted, leave_dialog, link_to

VERSION_BADGES = {VersionState.DRAFT.label: "warning", VersionState.PUBLISHED.label: "success"}


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
    fields = readonly_fields = ("version_link", "version_state", "note", "published_at", "published_by")
    verbose_name_plural = "versions"
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanVersion]:
        """With what the rows print."""
        return super().get_queryset(request).select_related("plan", "published_by")

    @display(description="Version")
    def version_link(self, version: PlanVersion) -> str:
        """To the version's charges."""
        return link_to(version, f"Version {version.number}")

    @display(description="State")
    def version_state(self, version: PlanVersion) -> str:
        """Draft or published."""
        return badge(version.get_state_display(), VERSION_BADGES)


@admin.register(Plan)
class PlanAdmin(OfficeAdmin):
    """Offers, in versions."""

    list_display = ("name", "code", "product", "published_number", "draft_count")
    list_filter = (("product", RelatedDropdownFilter),)
    list_select_related = ("product",)
    search_fields = ("name", "code", "product__name")
    autocomplete_fields = ("product",)
    inlines = (VersionInline,)
    needs = (Product,)
    actions_detail = ("new_version",)
    actions_list = ("start_from_template",)
    empty_hint = "Start from a template, or add a plan of your own."
    has_version_permission = granted("billing.add_planversion")
    has_start_permission = granted("billing.add_planversion")

    def get_urls(self) -> list[Any]:
        """With the ready-made plans."""
        return [*start_urls(self), *super().get_urls()]

    @action(description="Start from a template", icon="auto_awesome", permissions=["start"], url_path="from-template")
    def start_from_template(self, request: HttpRequest) -> HttpResponse:
        """To the ready-made plans."""
        return HttpResponseRedirect(reverse("admin:billing_plan_start"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        """With the state of its versions."""
        return (
            super()
            .get_queryset(request)
            .annotate(
                latest=Max("versions__number", filter=Q(versions__state=VersionState.PUBLISHED)),
                drafts=Count("versions", filter=Q(versions__state=VersionState.DRAFT)),
            )
        )

    @display(description="Published version", ordering="latest", empty_value="none yet")
    def published_number(self, plan: Any) -> int | None:
        """The newest version that customers can have."""
        return plan.latest

    @display(description="Drafts", ordering="drafts")
    def draft_count(self, plan: Any) -> int:
        """Versions in the making."""
        return plan.drafts

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
    fields = readonly_fields = ("code", "name", "kind", "pay", "meter_link", "price_words")
    price_words = staticmethod(price_words)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        """With what the words need: the queries do not grow with the charges."""
        return super().get_queryset(request).select_related("code", "meter", "version__plan").prefetch_related("prices")

    @display(description="Meter")
    def meter_link(self, charge: Charge) -> str:
        """What is counted."""
        return link_to(charge.meter)


@admin.register(PlanVersion)
class PlanVersionAdmin(OfficeAdmin):
    """The dated form of a plan: a draft is edited, then published and from then on read-only."""

    list_display = ("__str__", "version_state", "note", "published_at")
    list_filter = (("state", ChoicesDropdownFilter), ("plan", RelatedDropdownFilter))
    list_select_related = ("plan",)
    search_fields = ("plan__name", "plan__code", "note")
    fields = (("plan_link", "number", "version_state"), "note", ("published_at", "published_by"))
    readonly_fields = ("plan_link", "number", "version_state", "published_at", "published_by")
    actions_detail = ("publish", "new_from_this")
    warn_unsaved_form = False  # the plan builder warns itself: the skin would watch each change of the page anew
    empty_hint = "Open a plan and press “New version”."
    needs = (Plan,)
    has_publish_permission = granted("billing.publish_planversion")
    has_version_permission = granted("billing.add_planversion")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanVersion]:
        """With the charges' prices at hand for their words."""
        charges = Prefetch("charges", Charge.objects.select_related("meter"))
        return super().get_queryset(request).select_related("plan__product").prefetch_related(charges)

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

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """A draft can be published, a published version be the start of the next."""
        version = self.get_object(request, unquote(str(object_id)))
        wanted = "publish" if version and version.state == VersionState.DRAFT else "new_from_this"
        return [step for step in super().get_actions_detail(request, object_id) if step.path == wanted]

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
        """Draft or published."""
        return badge(version.get_state_display(), VERSION_BADGES)

    @action(
        description="Publish",
        icon="publish",
        variant=ActionVariant.PRIMARY,
        permissions=["publish"],
        dialog={
            "title": "Publish this version?",
            "description": "From then on customers can be subscribed to it, and its charges and prices never change.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Publish",
        },
    )
    def publish(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Freeze the draft, or say what is missing."""
        version = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                services.publish(version=version, user=request.user, now=clock.now())
        except CatalogError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, version, "Published.")
            messages.success(request, f"{version} is published: contracts can be subscribed to it.")
        return leave_dialog(change_url(version))

    @action(description="New version from this", icon="content_copy", permissions=["version"], dialog={
        "title": "New version from this",
        "description": "A draft with the same charges, to be edited and published.",
        "form_class": NewVersionForm,
        "form_submit_text": "Make a draft",
    })  # fmt: skip
    def new_from_this(self, request: HttpRequest, form: NewVersionForm, object_id: str) -> HttpResponse:
        """A draft that starts as a copy."""
        version = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                made = services.new_version(plan=version.plan, note=form.cleaned_data["note"], copy_of=version)
        except CatalogError as error:
            messages.error(request, str(error))
            return leave_dialog(change_url(version))
        return leave_dialog(change_url(made))

"""Pages of tax rates and of the tax codes of products: dated facts that are added and taken back, never edited."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from billing.catalog.models import Product
from billing.invoicing.errors import InvoicingError
from billing.invoicing.taxes.forms import ProductTaxForm, TaxRateForm
from billing.invoicing.taxes.models import ProductTax, TaxRate
from billing.invoicing.taxes.services import take_rate_back
from config import clock
from customers.backoffice import OfficeAdmin, badge, granted, link_to, list_url, quantity_text

BADGES = {"in force": "success", "to come": "info", "over": "", "taken back": ""}


class _FactAdmin(OfficeAdmin):
    """Facts: made by a form, shown, taken back."""

    actions_detail = ("take_back",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was said is never edited: a later fact takes its place."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """With who said it, and when."""
        obj.recorded_by, obj.recorded_at = request.user, clock.now()
        super().save_model(request, obj, form, change)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """What was taken back stays so."""
        steps = super().get_actions_detail(request, object_id)
        stands = self.model.objects.filter(pk=unquote(str(object_id)), undone_at=None).exists()
        return steps if stands else []

    @action(description="Take back", icon="undo", permissions=["take_back"])
    def take_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """As if it had never been said."""
        fact: Any = self.get_object(request, unquote(object_id))
        self.carry_out(
            request, fact, f"Taken back: {fact}.", lambda: take_rate_back(fact=fact, now=clock.now()),
            refusals=InvoicingError,
            after=" The next billing run brings open drafts up to date; what was billed stays.",
        )  # fmt: skip
        return HttpResponseRedirect(list_url(self.model))

    @display(description="State")
    def state(self, fact: Any) -> str:
        """Whether it holds today, as far as it tells by itself."""
        today = clock.now().date()
        if fact.undone_at:
            text = "taken back"
        elif fact.start > today:
            text = "to come"
        else:
            text = "over" if getattr(fact, "end", None) and fact.end <= today else "in force"
        return badge(text, BADGES)


@admin.register(TaxRate)
class TaxRateAdmin(_FactAdmin):
    """The table of tax rates."""

    form = TaxRateForm
    list_display = ("code", "name", "place", "tax_code", "rate", "start", "end", "state")
    list_filter = ("country",)
    search_fields = ("code", "name", "country", "region")
    search_help_text = "Code, name, country or region"
    ordering = ("country", "region", "code", "-start")
    has_take_back_permission = granted("billing.add_taxrate")
    empty_hint = "Rates by country, tax code and day. A legal entity uses them once tax is set up on its page."
    fieldsets = (
        (None, {"fields": (("code", "name"), ("country", "region"), ("percentage", "compound"))}),
        ("When and for what", {"fields": (("start", "end"), ("category", "position"), "reason")}),
    )

    @display(description="Where", ordering="country")
    def place(self, rate: TaxRate) -> str:
        """Country and region."""
        return "-".join(filter(None, (rate.country, rate.region)))

    @display(description="Tax code", ordering="category")
    def tax_code(self, rate: TaxRate) -> str:
        """Of charges and products."""
        return rate.category or "none"

    @display(description="Rate", ordering="percentage")
    def rate(self, rate: TaxRate) -> str:
        """In percent."""
        return f"{quantity_text(rate.percentage)} %{' on net and tax' if rate.compound else ''}"


@admin.register(ProductTax)
class ProductTaxAdmin(_FactAdmin):
    """Tax codes of products."""

    form = ProductTaxForm
    list_display = ("product_link", "category_text", "start", "reason", "state")
    list_select_related = ("product",)
    search_fields = ("product__name", "product__code", "category")
    search_help_text = "Product or tax code"
    ordering = ("product__code", "-start")
    needs = (Product,)
    has_take_back_permission = granted("billing.add_producttax")
    empty_hint = "The tax code of a product holds for its charges that have none of their own."
    fieldsets = ((None, {"fields": (("product", "category"), "start", "reason")}),)

    @display(description="Product", ordering="product__name")
    def product_link(self, fact: ProductTax) -> str:
        """What is sold."""
        return link_to(fact.product)

    @display(description="Tax code", ordering="category")
    def category_text(self, fact: ProductTax) -> str:
        """As rates and charges have it."""
        return fact.category or "none"

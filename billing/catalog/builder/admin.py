"""The charges of a draft version on its page: the plan builder."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.admin import StackedInline

from billing.catalog.builder.forms import ChargeForm, ChargeFormSet
from billing.catalog.builder.trial import ADJUSTERS, MODELS
from billing.catalog.models import Charge
from billing.catalog.units.models import CustomUnit
from config import clock
from customers.currencies import MINOR_PLACES

USUAL = ("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "SEK", "INR", "BRL")


class ChargeDraftInline(StackedInline):
    """Charges while they may still be edited: a card each, with what it costs and a worked example."""

    model = Charge
    form = ChargeForm
    formset = ChargeFormSet
    template = "billing/admin/builder/charges.html"
    autocomplete_fields = ("meter",)

    class Media:
        css = {"all": ("admin/plan_builder.css",)}
        js = ("admin/price_editor.js", "admin/price_trial.js", "admin/plan_builder.js")

    def get_extra(self, request: HttpRequest, obj: Any = None, **options: Any) -> int:
        """None, but one for whoever asks for it without a script."""
        return 1 if "add" in request.GET else 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        """With what the forms need: the queries do not grow with the charges."""
        rows = super().get_queryset(request).select_related("code", "meter", "version__plan")
        return rows.prefetch_related("prices").order_by("position", "pk")

    def facts(self) -> dict[str, Any]:
        """What the page's script must know: models, adjusters, currencies, units, and last month."""
        now = clock.now()
        year, month = (now.year, now.month - 1) if now.month > 1 else (now.year - 1, 12)
        return {
            "models": list(MODELS),
            "adjusters": list(ADJUSTERS),
            "currencies": [*USUAL, *sorted(MINOR_PLACES.keys() - set(USUAL))],
            "units": dict(CustomUnit.objects.values_list("code", "places")),
            "month": f"{year}-{month:02d}",
            "customers": reverse("admin:autocomplete"),
        }

"""Pages of custom units and what they are worth."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from billing.catalog.units.models import ConversionRate, CustomUnit
from customers.backoffice import NONE, OfficeAdmin


class RateFormSet(BaseInlineFormSet):
    """New rates of one unit."""

    def clean(self) -> None:
        """A day has one rate a currency: Django leaves constraints that name the parent unchecked in its inlines."""
        super().clean()
        for form in self.forms:
            if form.has_changed() and not form.errors:
                try:
                    form.instance.validate_constraints()
                except ValidationError as error:
                    form.add_error(None, error)


class RateInline(TabularInline):
    """What the unit is worth, the newest first: a rate is added, never changed."""

    model = ConversionRate
    formset = RateFormSet
    fields = ("currency", "rate", "valid_from")
    extra = 0
    ordering = ("currency", "-valid_from")
    verbose_name, verbose_name_plural = "rate", "rates"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rate stands as it was recorded: a new one begins on another day."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See above."""
        return False


@admin.register(CustomUnit)
class CustomUnitAdmin(OfficeAdmin):
    """Units of the company's own that prices are said in."""

    list_display = ("name", "code", "places", "worth")
    search_fields = ("name", "code")
    inlines = (RateInline,)
    empty_hint = "Credits or tokens of your own, in which prices are said, with what they are worth in each currency."

    def get_queryset(self, request: HttpRequest) -> QuerySet[CustomUnit]:
        """With the currencies that it has rates in."""
        return super().get_queryset(request).prefetch_related("rates")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Prices name the code with its places: these stay."""
        return ("code", "places") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """A code is proposed once, for a new unit."""
        return {} if obj else {"code": ("name",)}

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """New rates carry who recorded them."""
        for rate in formset.save(commit=False):
            rate.created_by = request.user
            rate.save()
        formset.save_m2m()

    @display(description="Newest rates")
    def worth(self, unit: CustomUnit) -> str:
        """“USD 0.01 from 2026-01-01”, for each currency."""
        newest: dict[str, ConversionRate] = {}
        for rate in sorted(unit.rates.all(), key=lambda each: each.valid_from):
            newest[rate.currency] = rate
        each = (f"{code} {rate.rate.normalize():f} from {rate.valid_from}" for code, rate in sorted(newest.items()))
        return ", ".join(each) or NONE

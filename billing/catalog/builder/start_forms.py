"""The form in which a ready-made plan gets its names and its meters."""

from typing import Any

from django import forms
from django.db.models import Q

from billing.catalog.builder.starters import Starter, counts_the_same
from billing.catalog.models import Plan, Product
from billing.metering.models import Meter

INPUT = {"class": "mb-input"}
NEW = "new"


class StartForm(forms.Form):
    """Names of product and plan, and for each meter: make it, or use one that counts the same."""

    product_name = forms.CharField(label="Product", max_length=100, widget=forms.TextInput(INPUT))
    product_code = forms.SlugField(label="Code of the product", max_length=60, widget=forms.TextInput(INPUT))
    plan_name = forms.CharField(label="Plan", max_length=100, widget=forms.TextInput(INPUT))
    plan_code = forms.SlugField(label="Code of the plan", max_length=60, widget=forms.TextInput(INPUT))

    def __init__(self, *args: Any, starter: Starter, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.starter = starter
        plan = starter.plan
        types = {meter.event_type for meter in starter.meters}
        codes = Q(code__in=[meter.code for meter in starter.meters]) | Q(event_type__in=types)
        self.known = list(Meter.objects.current().filter(codes).order_by("code"))
        taken = set(Plan.objects.filter(code__startswith=plan.plan).values_list("code", flat=True))
        self.fields["product_name"].initial, self.fields["product_code"].initial = plan.product_name, plan.product
        code = free(plan.plan, taken)
        number = code.removeprefix(plan.plan).lstrip("-")
        self.fields["plan_code"].initial = code
        self.fields["plan_name"].initial = f"{plan.plan_name} {number}".strip()
        for meter in starter.meters:
            alike = [each for each in self.known if counts_the_same(each, meter)]
            choices = [(str(each.pk), f"Use “{each.name}” ({each.code}), which counts the same") for each in alike]
            choices.append((NEW, f"Make a new meter “{meter.name}” ({self.code_of(meter)})"))
            self.fields[f"meter-{meter.code}"] = forms.ChoiceField(
                label=meter.name, choices=choices, initial=choices[0][0], widget=forms.Select(INPUT)
            )

    def code_of(self, meter: Meter) -> str:
        """The code that a new meter gets: its own, or one with a number where that is taken."""
        return free(meter.code, {each.code for each in self.known})

    def clean(self) -> dict[str, Any]:
        """A plan's code is new; a product's may be known, and then its name is that product's."""
        values = super().clean() or self.cleaned_data
        if Plan.objects.filter(code=values.get("plan_code")).exists():
            self.add_error("plan_code", "There is a plan of this code: choose another one.")
        known = Product.objects.filter(code=values.get("product_code")).first()
        if known is not None and known.name != values.get("product_name"):
            self.add_error("product_name", f"The product of this code is called “{known.name}”: write that name.")
        return values

    def meters(self) -> dict[str, Meter]:
        """By the starter's own code, the meter that was chosen; a new one is unsaved."""
        by_key = {str(each.pk): each for each in self.known}
        found = {}
        for meter in self.starter.meters:
            chosen = by_key.get(self.cleaned_data[f"meter-{meter.code}"])
            fields = {
                field.attname: getattr(meter, field.attname) for field in Meter._meta.concrete_fields if field.editable
            }
            found[meter.code] = chosen or Meter(**fields | {"id": None, "code": self.code_of(meter)})
        return found


def free(code: str, taken: set[str]) -> str:
    """The code itself, or with the first number from 2 that is not taken."""
    number, found = 1, code
    while found in taken:
        number += 1
        found = f"{code}-{number}"
    return found

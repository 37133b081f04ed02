"""Forms of terms that have rows: changed tiers, parts of the usage, ramps; and the form of an added charge."""

from typing import Any

from django import forms
from django.core.validators import validate_slug
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.models import Charge
from billing.catalog.terms import services
from billing.catalog.terms.errors import TermsError
from billing.catalog.terms.forms import CountedMixin, TermForm, day, figure
from billing.catalog.terms.states import RAMPED, SPEND, TermKind
from billing.metering.models import Meter
from billing.money import plain

TIERS, FILTERS, STEPS = 6, 3, 8


class RowsForm(TermForm):
    """A form with rows of fields; rows that are left empty say nothing."""

    count = 0
    columns: tuple[str, ...] = ()
    row_note = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for place in range(self.count):
            for name in self.columns:
                self.fields[f"{name}_{place}"] = self.row_field(name, place)

    def row_field(self, name: str, place: int) -> forms.Field:
        """The field of a column in a row: a figure that may stay empty."""
        return figure(name.replace("_", " ").capitalize(), required=False)

    def row_names(self) -> list[list[str]]:
        """See TermForm."""
        return [[f"{name}_{place}" for name in self.columns] for place in range(self.count)]

    def given(self) -> list[dict[str, Any]]:
        """The rows of which anything is filled in."""
        found = [
            {name: self.cleaned_data.get(f"{name}_{place}") for name in self.columns} for place in range(self.count)
        ]
        return [row for row in found if any(value not in (None, "") for value in row.values())]


class TiersForm(RowsForm):
    """Other amounts in some tiers."""

    title, about = "Change tiers", "Other amounts in some tiers of a price; the others stay."
    count, columns = TIERS, ("up_to", "unit_amount", "flat_amount")
    row_note = "A tier is named by its bound, as in the plan; leave the bound empty for the open one."

    def row_field(self, name: str, place: int) -> forms.Field:
        """See RowsForm."""
        labels = {"up_to": "Tier up to", "unit_amount": "New amount a unit", "flat_amount": "New flat amount"}
        return figure(labels[name], required=False)

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        rows = [
            {"up_to": None} | {name: plain(value) for name, value in row.items() if value is not None}
            for row in self.given()
        ]
        return [(TermKind.TIERS, {"tiers": rows})]


class NarrowForm(RowsForm):
    """A part of the usage."""

    title, about, only = (
        "Part of the usage",
        "Only some events of a meter count, e.g. those of one region.",
        Charge.Kind.USAGE,
    )
    count, columns = FILTERS, ("name", "values")
    row_note = "All rows must hold. Several values, separated by commas: any of them."

    def row_field(self, name: str, place: int) -> forms.Field:
        """See RowsForm."""
        labels = {"name": "Property of the event", "values": "Is one of"}
        return forms.CharField(label=labels[name], required=False, max_length=200, widget=UnfoldAdminTextInputWidget())

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        filters = {}
        for row in self.given():
            options = [text.strip() for text in row["values"].split(",") if text.strip()]
            filters[row["name"].strip()] = options[0] if len(options) == 1 else options
        return [(TermKind.NARROWING, {"filters": filters})]


class RampForm(CountedMixin, RowsForm):
    """A row of steps known in advance."""

    title, about, charges = "Ramp", "A row of steps that is known in advance: prices, quantities, commitments.", "any"
    count, columns = STEPS, ("from", "figure")
    row_note = "Each step holds until the next one begins, the last until the end."
    kind = forms.ChoiceField(
        label="What changes", widget=UnfoldAdminSelectWidget(),
        choices=[(kind, label) for kind, label in TermKind.choices if kind in RAMPED],
        help_text="A price in steps is one amount: of a flat fee, or of a price a unit. Spending is about no charge.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("start", "periods"):
            del self.fields[name]
        self.order_fields(["kind", "code", "counted"])

    def row_field(self, name: str, place: int) -> forms.Field:
        """See RowsForm."""
        if name == "from":
            return day(f"Step {place + 1} from", required=False)
        return figure("Amount, factor or quantity", required=False)

    def clean(self) -> dict[str, Any]:
        """A step has a day and a figure."""
        values = super().clean()
        for place in range(self.count):
            given = values.get(f"from_{place}") is not None, values.get(f"figure_{place}") is not None
            if given == (True, False):
                self.add_error(f"figure_{place}", "What holds from that day on?")
            elif given == (False, True):
                self.add_error(f"from_{place}", "From when?")
        return values

    def agree(self, **who: Any) -> None:
        """See TermForm."""
        given = self.cleaned_data
        code = "" if given["kind"] in SPEND else given["code"]
        steps = [(row["from"], self._value(given["kind"], code, plain(row["figure"]))) for row in self.given()]
        services.make_ramp(
            subscription=self.subscription, kind=given["kind"], code=code, steps=steps, end=given["end"],
            reason=given["reason"], **who,
        )  # fmt: skip

    def _value(self, kind: str, code: str, number: str) -> dict[str, Any]:
        """A step's figure as its kind says it."""
        if kind in (TermKind.FACTOR, TermKind.QUANTITY):
            return {"factor" if kind == TermKind.FACTOR else "quantity": number}
        if kind in SPEND:
            return {"amount": number} | self.counting()
        charge = next((each for each in self.known if each.code.code == code), None)
        price = charge.prices.filter(currency=self.subscription.contract.currency).first() if charge else None
        key = {"flat": "amount", "per_unit": "unit_amount"}.get(price.price["model"] if price else "")
        if price is None or key is None:
            raise TermsError("A price in steps is for a flat fee or a price a unit: choose such a charge, or a factor.")
        return {"price": price.price | {key: number}}


class AddForm(TermForm):
    """A charge that the plan does not have."""

    title, about, charges = "Add a charge", "A fee or usage that the plan does not have.", "none"
    code = forms.CharField(
        max_length=60, validators=[validate_slug], widget=UnfoldAdminTextInputWidget(),
        help_text="Lasting name, e.g. premium-support.",
    )  # fmt: skip
    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget(), help_text="As printed on the invoice.")
    kind = forms.ChoiceField(choices=Charge.Kind.choices, widget=UnfoldAdminSelectWidget())
    pay = forms.ChoiceField(
        label="Paid", choices=Charge.Pay.choices, widget=UnfoldAdminSelectWidget(), help_text="Usage always in arrears."
    )
    meter = forms.ModelChoiceField(
        Meter.objects.none(), required=False, widget=UnfoldAdminSelectWidget(), empty_label="None, it is a fee"
    )
    unit = forms.CharField(
        required=False, max_length=40, widget=UnfoldAdminTextInputWidget(),
        help_text="What a fee is paid for, in the singular, e.g. seat.",
    )  # fmt: skip
    cadence = forms.CharField(
        required=False, max_length=10, widget=UnfoldAdminTextInputWidget(),
        help_text="Of a fee, e.g. P1Y for yearly. Empty: the contract's.",
    )  # fmt: skip
    position = forms.IntegerField(
        initial=50,
        min_value=0,
        max_value=32767,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Order on the invoice.",
    )
    price = forms.JSONField(
        initial={"model": "flat", "amount": ""},
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 7, "style": "font-family: ui-monospace, monospace"}),
        help_text='In the contract\'s currency, e.g. {"model": "flat", "amount": "80"}.',
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        meter: Any = self.fields["meter"]
        meter.queryset = Meter.objects.current()

    def clean(self) -> dict[str, Any]:
        """Usage is paid in arrears."""
        values = super().clean()
        if values.get("kind") == Charge.Kind.USAGE:
            values["pay"] = Charge.Pay.IN_ARREARS
        if "price" in values and not isinstance(values["price"], dict):
            self.add_error("price", 'Write one price, e.g. {"model": "flat", "amount": "80"}.')
        return values

    def agree(self, **who: Any) -> None:
        """See TermForm."""
        given = self.cleaned_data
        names = ("name", "kind", "pay", "meter", "unit", "cadence", "position")
        services.add_charge(
            subscription=self.subscription, code=given["code"], charge=Charge(**{name: given[name] for name in names}),
            price=given["price"], **self.span(), **who,
        )  # fmt: skip

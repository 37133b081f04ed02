"""Forms in which RevOps agrees a term: one for each kind, in figures and dates. Prices are JSON, as in a plan."""

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.models import Charge, Subscription
from billing.catalog.terms import services
from billing.catalog.terms.checking import charges_during
from billing.catalog.terms.states import TermKind
from billing.metering.models import Meter
from billing.money import plain
from billing.periods import Period, local_midnight

ALL = "All charges"
PRICE_UNITS = "In the units of the price: with a price per 1,000,000 tokens, 5 are 5,000,000 tokens."


def day(label: str, **options: Any) -> forms.DateField:
    """A day, chosen from the browser's calendar."""
    return forms.DateField(label=label, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}), **options)


def figure(label: str, **options: Any) -> forms.DecimalField:
    """A decimal of 0 or more."""
    bounds = {"min_value": 0, "max_digits": 40, "decimal_places": 12}
    return forms.DecimalField(label=label, widget=UnfoldAdminDecimalFieldWidget(), **(bounds | options))


def reason() -> forms.CharField:
    """Why; kept with the term."""
    return forms.CharField(
        label="Reason", max_length=300, widget=UnfoldAdminTextInputWidget(),
        help_text="E.g. “Order form of 3 May”. Whoever reads the terms sees it.",
    )  # fmt: skip


class TermForm(forms.Form):
    """A term of one kind: what is agreed, from when to when, and why."""

    title: str
    """What the page is called."""
    about: str
    """One sentence that helps to choose it."""
    charges: str = "one"
    """Which it asks for: "one" charge, "any" (or all), or "none"."""
    only: str = ""
    """A kind of charge that it can be about."""

    start = day("From", help_text="First day, in the contract's time zone. It may lie in the past.")
    end = day("Until", required=False, help_text="The day after the last one. Empty: open.")
    periods = forms.IntegerField(
        label="Or for so many periods", required=False, min_value=1, max_value=1200,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Billing periods; the one that contains the first day counts as the first.",
    )  # fmt: skip
    reason = reason()
    when: Final = ("start", "end", "periods", "reason")

    def __init__(self, *args: Any, subscription: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subscription = subscription
        contract = subscription.contract
        begin = local_midnight(contract.start, contract.timezone)
        self.known = charges_during(subscription, Period(begin, None))
        if self.charges != "none":
            self.fields["code"] = self._charge_field()
            self.order_fields(["code"])

    def _charge_field(self) -> forms.ChoiceField:
        codes = {each.code.code: each.name for each in self.known if self.only in ("", each.kind)}
        choices = [("", ALL)] if self.charges == "any" else []
        choices += [(code, f"{name} ({code})") for code, name in codes.items()]
        return forms.ChoiceField(
            label="Charge", choices=choices, required=self.charges != "any", widget=UnfoldAdminSelectWidget()
        )

    def main(self) -> list[forms.BoundField]:
        """The fields that say what is agreed, in order."""
        rows = {name for row in self.row_names() for name in row}
        return [self[name] for name in self.fields if name not in rows and name not in self.when]

    def dates(self) -> list[forms.BoundField]:
        """The fields that say from when to when, and why."""
        return [self[name] for name in self.when if name in self.fields]

    def row_names(self) -> Sequence[Sequence[str]]:
        """Fields that stand side by side, row by row."""
        return []

    def rows(self) -> list[list[forms.BoundField]]:
        """See `row_names`."""
        return [[self[name] for name in row] for row in self.row_names()]

    def clean(self) -> dict[str, Any]:
        """Until a day or for periods."""
        values = super().clean() or self.cleaned_data
        if values.get("end") and values.get("periods"):
            self.add_error("periods", "Say until when or for how many periods, not both.")
        return values

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """The kinds and values that the fields say; none where `agree` writes something else."""
        return []

    def agree(self, **who: Any) -> None:
        """Write what the form says; TermsError, Overlap."""
        for kind, value in self.terms():
            services.set_term(
                subscription=self.subscription, kind=kind, value=value, code=self.cleaned_data.get("code", ""),
                meter=self.cleaned_data.get("meter"), **self.span(), **who,
            )  # fmt: skip

    def span(self) -> dict[str, Any]:
        """From when to when, and why."""
        return {name: self.cleaned_data.get(name) for name in self.when}


class PriceForm(TermForm):
    """Another price."""

    title, about = "Another price", "A price of their own in place of the plan's."
    price = forms.JSONField(
        initial={"model": "per_unit", "unit_amount": ""},
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 9, "style": "font-family: ui-monospace, monospace"}),
        help_text='As in a plan, in the contract\'s currency, e.g. {"model": "per_unit", "unit_amount": "0.02"}.',
    )

    def clean_price(self) -> Any:
        """JSON with its numbers as they were written."""
        found = self.cleaned_data["price"]
        if not isinstance(found, dict):
            raise ValidationError('Write one price, e.g. {"model": "flat", "amount": "80"}.')
        return found

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        return [(TermKind.PRICE, {"price": self.cleaned_data["price"]})]


class FactorForm(TermForm):
    """All amounts times a factor."""

    title, about, charges = "Price factor", "All amounts of a price times a factor: 0.9 is 10 % less.", "any"
    factor = figure("Times", help_text="0.9 makes it 10 % cheaper, 1.05 makes it 5 % dearer.")

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        return [(TermKind.FACTOR, {"factor": plain(self.cleaned_data["factor"])})]


class DiscountForm(TermForm):
    """Less of something."""

    title, about, charges = "Discount", "A percentage, an amount or free units off each period.", "any"
    what = forms.ChoiceField(
        label="Less", choices=[("percentage", "Percent"), ("amount", "Money a period"), ("quantity", "Units a period")],
        widget=UnfoldAdminSelectWidget(), help_text="Amounts and units are taken off one charge.",
    )  # fmt: skip
    figure = figure("How much")

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        return [(TermKind.DISCOUNT, {self.cleaned_data["what"]: plain(self.cleaned_data["figure"])})]


class AllowanceForm(TermForm):
    """Units that are free."""

    title, about = "Free allowance", "So many units free each period."
    quantity = figure("Free units a period", help_text=PRICE_UNITS)
    mode = forms.ChoiceField(
        label="How", choices=[("add", "Besides what is free already"), ("replace", "In place of what is free already")],
        widget=UnfoldAdminSelectWidget(),
    )  # fmt: skip

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        given = self.cleaned_data
        return [(TermKind.ALLOWANCE, {"quantity": plain(given["quantity"]), "mode": given["mode"]})]


class LimitsForm(TermForm):
    """The least and the most."""

    title, about = "Least and most of a charge", "What a period of one charge costs at least, or at most."
    least = figure("At least", required=False)
    most = figure("At most", required=False)
    kinds = (TermKind.MINIMUM, TermKind.MAXIMUM)

    def clean(self) -> dict[str, Any]:
        """One of them is needed."""
        values = super().clean()
        if not self.errors and values.get("least") is None and values.get("most") is None:
            self.add_error("least", "Write the least, the most, or both.")
        return values

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        pairs = zip(self.kinds, ("least", "most"), strict=True)
        figures = [(kind, self.cleaned_data.get(name)) for kind, name in pairs]
        return [(kind, self.limit(plain(amount))) for kind, amount in figures if amount is not None]

    def limit(self, amount: str) -> dict[str, Any]:
        """The value of one limit."""
        return {"amount": amount}


class CountedMixin(forms.Form):
    """Which charges count; none chosen means all."""

    counted = forms.MultipleChoiceField(
        label="Charges that count", required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="None chosen: all recurring and usage charges.",
    )  # fmt: skip
    known: list[Charge]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = {each.code.code: f"{each.name} ({each.code.code})" for each in self.known}
        counted: Any = self.fields["counted"]
        counted.choices = list(choices.items())

    def counting(self) -> dict[str, Any]:
        """As a term's value says it."""
        return {"charges": self.cleaned_data["counted"]} if self.cleaned_data["counted"] else {}


class SpendForm(CountedMixin, LimitsForm):
    """The least and the most of a subscription's spending."""

    title, about = "Minimum or maximum spend", "What the subscription bills each period at least, or at most."
    charges = "none"
    kinds = (TermKind.MINIMUM_SPEND, TermKind.MAXIMUM_SPEND)

    def limit(self, amount: str) -> dict[str, Any]:
        """See LimitsForm."""
        return {"amount": amount} | self.counting()


class CommitmentForm(CountedMixin, TermForm):
    """A promise to spend."""

    title, about, charges = "Commitment", "They promise to spend an amount, each period or over the whole time.", "none"
    amount = figure("Amount", help_text="In the contract's currency.")
    per = forms.ChoiceField(
        label="Counted", choices=[("cycle", "Each period"), ("term", "Over the whole time")],
        widget=UnfoldAdminSelectWidget(),
    )  # fmt: skip
    overage_factor = figure("Beyond it, times", initial=1, help_text="1 charges overage as usual, 0.8 at 20 % less.")
    name = forms.CharField(
        label="Name", required=False, max_length=100, widget=UnfoldAdminTextInputWidget(),
        help_text="As printed on the invoice. Empty: Commitment.",
    )  # fmt: skip

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        given = self.cleaned_data
        value = {name: plain(given[name]) for name in ("amount", "overage_factor")}
        return [(TermKind.COMMITMENT, value | self.counting() | {"per": given["per"], "name": given["name"]})]


class QuantityForm(TermForm):
    """Seats."""

    title, about, only = (
        "Quantity",
        "Seats, or how many of another fee, from a day on.",
        Charge.Kind.RECURRING,
    )
    quantity = figure("How many", help_text="In place of the subscription's quantity.", decimal_places=6)

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        return [(TermKind.QUANTITY, {"quantity": plain(self.cleaned_data["quantity"])})]


class RemoveForm(TermForm):
    """Not charged."""

    title, about = "Remove a charge", "A charge of the plan that does not hold for them."

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        return [(TermKind.REMOVE, {})]


class MeterForm(TermForm):
    """Another meter."""

    title, about, only = "Another meter", "Another meter counts the usage of a charge.", Charge.Kind.USAGE
    meter = forms.ModelChoiceField(
        Meter.objects.none(), label="Counted by", widget=UnfoldAdminSelectWidget(), empty_label="Choose a meter"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        meter: Any = self.fields["meter"]
        meter.queryset = Meter.objects.current()

    def terms(self) -> list[tuple[str, dict[str, Any]]]:
        """See TermForm."""
        return [(TermKind.METER, {})]


class ReasonForm(forms.Form):
    """Why a term is taken back."""

    reason = reason()


class EndForm(ReasonForm):
    """When a term ends."""

    at = day("Ends on", help_text="The day after its last one, earlier or later than it was to end.")
    field_order = ("at", "reason")

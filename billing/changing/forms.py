"""The forms of a change, an end and an undoing, on the pages of a subscription."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.catalog.changes.options import Options
from billing.catalog.forms import published_versions
from billing.catalog.models import PlanVersion, Subscription

WHEN = [("date", "On a day"), ("now", "Now"), ("period_end", "When this billing period ends")]
BY_DIRECTION = ("direction", "An increase now, a decrease when this billing period ends")
UNUSED = [("credit", "Credited, at the old price and discount"), ("none", "Not credited")]
FEES = [
    ("prorated", "Charged for the days that are left"), ("full", "Charged in full at once"),
    ("next_period", "Charged from the next period on"),
]  # fmt: skip
ANCHOR = [
    ("", "Kept; another cadence begins anew"), ("kept", "Kept, also with another cadence"),
    ("change", "Counted from the change"), ("calendar", "By the calendar: from the first, from Monday"),
]  # fmt: skip
TIERS = [
    ("", "Go on where only prices change"), ("continue", "Go on over the change"), ("restart", "Begin anew"),
    ("prorate", "Each side has its share"),
]  # fmt: skip
GAUGES = [("next_cycle", "New terms from the next period"), ("share", "Each side weighs with its share")]


def _choice(label: str, choices: list[tuple[str, str]], **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=choices, widget=UnfoldAdminSelectWidget(), **options)


class DatedForm(forms.Form):
    """When it takes effect, and why."""

    when = _choice("When", WHEN)
    day = forms.DateField(
        label="Day", required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="The first day of the new terms, in the contract's time zone. It may lie in the past.",
    )  # fmt: skip
    reason = forms.CharField(label="Why", max_length=300, widget=UnfoldAdminTextInputWidget())
    main: tuple[str, ...] = ()
    dates = ("when", "day", "reason")

    def clean(self) -> dict[str, Any]:
        """A day is needed where one is meant."""
        values = super().clean() or self.cleaned_data
        if values.get("when") == "date" and not values.get("day") and "day" not in self.errors:
            self.add_error("day", "Say on which day.")
        return values

    def left(self) -> list[Any]:
        """The fields of what changes."""
        return [self[name] for name in self.main]

    def right(self) -> list[Any]:
        """The fields of when and why."""
        return [self[name] for name in self.dates]


class ChangeForm(DatedForm):
    """Another plan version, another quantity, and how that takes effect."""

    version = forms.ModelChoiceField(
        PlanVersion.objects.none(), label="Plan version", required=False, widget=UnfoldAdminSelectWidget(),
        empty_label="Keep the plan",
    )  # fmt: skip
    quantity = forms.DecimalField(
        required=False, min_value=0, max_digits=20, decimal_places=6, widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Empty: keep the quantity.",
    )  # fmt: skip
    unused = _choice("Unused time that was paid", UNUSED)
    fees = _choice("The new fee until the period ends", FEES)
    anchor = _choice("Billing periods", ANCHOR, required=False)
    tiers = _choice("Tiers and free units in this period", TIERS, required=False)
    gauges = _choice("Usage that cannot be split", GAUGES, help_text="Peaks, averages, distinct users and the like.")
    main = ("version", "quantity", "unused", "fees", "anchor", "tiers", "gauges")

    def __init__(self, *args: Any, subscription: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["when"].choices = [*WHEN, BY_DIRECTION]  # type: ignore[attr-defined]
        versions = published_versions().filter(plan__product=subscription.product_id)
        self.fields["version"].queryset = versions  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A change changes something."""
        values = super().clean()
        if not values.get("version") and values.get("quantity") is None and "quantity" not in self.errors:
            self.add_error("quantity", "Choose another plan version or quantity.")
        return values

    def options(self) -> Options:
        """How it takes effect."""
        return Options(**{name: self.cleaned_data[name] for name in ("unused", "fees", "anchor", "tiers", "gauges")})


class EndForm(DatedForm):
    """The last day of a subscription."""

    unused = _choice("Unused time that was paid", UNUSED)
    main = ("unused",)

    def __init__(self, *args: Any, subscription: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["day"].label = "Last day"
        self.fields["day"].help_text = f"It is billed still. In the time zone {subscription.contract.timezone}."

    def options(self) -> Options:
        """Whether unused time is credited."""
        return Options(unused=self.cleaned_data["unused"])


class UndoForm(forms.Form):
    """Why a change is undone."""

    reason = forms.CharField(label="Why", max_length=300, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, subscription: Subscription, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    def left(self) -> list[Any]:
        """Nothing is left to choose."""
        return []

    def right(self) -> list[Any]:
        """Why."""
        return [self["reason"]]

"""Dialogs of plans and subscriptions; the form of a charge is the plan builder's."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.states import VersionState

DAY = {"type": "date"}


class NewVersionForm(BaseDialogForm):
    """What the next version is for."""

    note = forms.CharField(
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="What is new, e.g. “Prices from July”. The charges are copied from the latest version.",
    )


def published_versions() -> Any:
    """What can be subscribed to."""
    return PlanVersion.objects.filter(state=VersionState.PUBLISHED).select_related("plan").order_by("plan", "-number")


def _day(label: str, **options: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=UnfoldAdminTextInputWidget(attrs=DAY), **options)


class SubscribeForm(BaseDialogForm):
    """A new line of the contract."""

    version = forms.ModelChoiceField(
        PlanVersion.objects.none(), label="Plan version", widget=UnfoldAdminSelectWidget(), empty_label="Choose a plan"
    )
    code = forms.SlugField(
        max_length=60, widget=UnfoldAdminTextInputWidget(), help_text="Its name in this contract, e.g. platform."
    )
    start = _day("Start", help_text="First day, in the contract's time zone.")
    end = _day("End", required=False, help_text="The day after the last one. Empty: open.")
    quantity = forms.DecimalField(
        initial=1, min_value=0, decimal_places=6, widget=UnfoldAdminDecimalFieldWidget(), help_text="E.g. seats."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = published_versions()


class OfSubscription(BaseDialogForm):
    """A dialog on one of the contract's subscriptions."""

    subscription = forms.ModelChoiceField(
        Subscription.objects.none(), widget=UnfoldAdminSelectWidget(), empty_label=None
    )
    at = _day("From", help_text="First day of the change, in the contract's time zone. It may lie in the past.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = Subscription.objects.filter(contract_id=self.object_id).select_related("contract")
        self.fields["subscription"].queryset = mine


class ChangeForm(OfSubscription):
    """Other terms from a day on."""

    version = forms.ModelChoiceField(
        PlanVersion.objects.none(),
        label="Plan version",
        required=False,
        widget=UnfoldAdminSelectWidget(),
        empty_label="Keep the plan",
    )
    quantity = forms.DecimalField(
        required=False,
        min_value=0,
        decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(),
        help_text="Empty: keep the quantity.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = published_versions()

    def clean(self) -> dict[str, Any]:
        """A change changes something."""
        values = super().clean() or self.cleaned_data
        if not values.get("version") and values.get("quantity") is None:
            self.add_error("quantity", "Choose another plan version or quantity.")  # the dialog shows errors of fields
        return values


class EndForm(OfSubscription):
    """The end of a subscription."""

    at = _day("Ends on", help_text="The day after the last one, in the contract's time zone.")

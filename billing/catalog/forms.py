"""Dialogs of plans and subscriptions; the form of a charge is the plan builder's."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.models import PlanVersion
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

"""Forms in which RevOps states a trial or a pause."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldBooleanSwitchWidget

from billing.catalog.free import services
from billing.catalog.terms.forms import TermForm, day


def _switch(label: str, help_text: str) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, widget=UnfoldBooleanSwitchWidget(), help_text=help_text)


class TrialForm(TermForm):
    """The product for a while without its fee."""

    title, about, charges = "Trial", "The fee begins after it. A customer tries a product once.", "none"
    periods = None
    start = day("From", required=False, help_text="Empty: the subscription's first day.")
    end = day("Until", help_text="The day after the last one: the fee begins on it.")
    usage_free = _switch("Usage is free too", "Otherwise usage in the trial is charged.")

    def agree(self, **who: Any) -> None:
        """See TermForm."""
        given = self.cleaned_data
        services.start_trial(
            subscription=self.subscription, start=given["start"], end=given["end"], usage_free=given["usage_free"],
            reason=given["reason"], **who,
        )  # fmt: skip


class PauseForm(TermForm):
    """Nothing for a while."""

    title, about, charges = "Pause", "The subscription rests, and its fee with it.", "none"
    periods = None
    end = day("Until", required=False, help_text="The day after the last one. Empty: until you end it.")
    keep_fee = _switch("The fee is charged all the same", "Otherwise what was billed for these days is credited.")
    usage_free = _switch("Usage is free", "Otherwise usage in the pause is charged.")

    def agree(self, **who: Any) -> None:
        """See TermForm."""
        given = self.cleaned_data
        services.pause(
            subscription=self.subscription, start=given["start"], end=given["end"], keep_fee=given["keep_fee"],
            usage_free=given["usage_free"], reason=given["reason"], **who,
        )  # fmt: skip

"""The form of a meter: checked by the code that counts, each problem at its field."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from billing.metering.definitions import MAX_PLACES
from billing.metering.errors import MeterError
from billing.metering.meters.checking import check_meter
from billing.metering.meters.widgets import FiltersField, PropertiesField
from billing.metering.models import METER_DEFINITION, Meter

MODES = {"": "Not rounded", "half_up": "Half up", "up": "Up", "down": "Down"}


class MeterForm(forms.ModelForm):
    """A meter that can count."""

    event_type = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"list": "event-types", "autocomplete": "off"}),
        help_text="Only events of this type count, e.g. inference.",
    )
    filters = FiltersField(
        required=False,
        help_text="What an event must be like to count; all rows must hold. Values are apart by commas: eu, us."
        " Numbers, true and false are read as such; in double quotes they are texts.",
    )
    group_by = PropertiesField(
        label="Dimensions",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "model, region"}),
        help_text="Up to five properties to report and price by, apart by commas.",
    )
    rounding_mode = forms.ChoiceField(
        label="Rounding", choices=list(MODES.items()), required=False, widget=UnfoldAdminSelectWidget()
    )
    rounding_places = forms.IntegerField(
        label="to places",
        required=False,
        min_value=-MAX_PLACES,
        max_value=MAX_PLACES,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="2 is hundredths, 0 whole numbers, -1 tens.",
    )

    class Meta:
        model = Meter
        widgets = {
            "value": UnfoldAdminTextInputWidget(attrs={"style": "font-family: ui-monospace, monospace"}),
            "operation": UnfoldAdminTextInputWidget(),
        }
        fields = (
            "name", "code", "event_type", "unit", "aggregation", "value", "filters", "group_by", "operation",
            "recurring", "prorate",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rounding = self.instance.rounding or {}
        self.initial.setdefault("rounding_mode", rounding.get("mode", "half_up") if rounding else "")
        self.initial.setdefault("rounding_places", rounding.get("places"))

    def clean_code(self) -> str:
        """One meter a code; its own versions share it."""
        code: str = self.cleaned_data["code"]
        if Meter.objects.current().filter(code=code).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("There is a meter of this code: choose another one.")
        return code

    def clean(self) -> dict[str, Any]:
        """Each problem at its field."""
        values = super().clean() or self.cleaned_data
        mode, places = values.get("rounding_mode"), values.get("rounding_places")
        self.instance.rounding = {"mode": mode, "places": places or 0} if mode else None
        if places is not None and not mode:
            self.add_error("rounding_mode", "Choose how to round to these places, or leave them empty.")
        given = self.definition()
        try:
            check_meter(given)
        except MeterError as error:
            for name, text in error.problems.items():
                field = "rounding_mode" if name == "rounding" else name
                if field not in self.errors:
                    self.add_error(field if field in self.fields else None, text)
        return values

    def definition(self) -> Meter:
        """The meter that the form describes, not saved."""
        given = self.cleaned_data
        return Meter(**{name: given.get(name, getattr(self.instance, name)) for name in METER_DEFINITION})

"""What is asked of a rehearsal on the page of a contract: how many invoices, and which usage is assumed."""

from decimal import Decimal
from io import TextIOWrapper
from typing import Final

from django import forms
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from billing.rehearsal.errors import BadUsageFile
from billing.rehearsal.files import read_usage

LIMIT: Final = 1_000_000
"""A file of assumed usage has at most so many bytes: some 20,000 rows."""
BASES: Final = (("last", "As in the last cycle"), ("average", "Average of the last three"), ("none", "None"))


class AskForm(forms.Form):
    """How many, and with which usage; three as in the last cycle where nothing is asked."""

    invoices = forms.IntegerField(
        min_value=1, max_value=24, initial=3, widget=UnfoldAdminIntegerFieldWidget(attrs={"min": 1, "max": 24})
    )
    assume = forms.ChoiceField(
        label="Usage from now on", choices=BASES, initial="last", widget=UnfoldAdminSelectWidget()
    )


class UsageFileForm(forms.Form):
    """Quantities of a cycle as a file."""

    file = forms.FileField(
        label="Quantities of a cycle",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv"}),
        help_text="CSV with the columns customer,meter,quantity: your own id of the customer, the meter's code, and"
        " what a whole cycle uses. Meters that the file does not name are assumed as above.",
        error_messages={"empty": "The file is empty: its first line must be customer,meter,quantity."},
    )
    given: dict[tuple[int, int], Decimal]

    def clean_file(self) -> object:
        """Read it; `given` is what it says."""
        file = self.cleaned_data["file"]
        if file.size > LIMIT:
            raise forms.ValidationError(f"The file has {file.size:,} bytes, at most {LIMIT:,} are read: shorten it.")
        try:
            self.given = read_usage(TextIOWrapper(file, encoding="utf-8-sig", newline=""))
        except BadUsageFile as error:
            raise forms.ValidationError(str(error)) from error
        except UnicodeDecodeError as error:
            raise forms.ValidationError("The file is not in UTF-8: save it as “CSV UTF-8”.") from error
        return file

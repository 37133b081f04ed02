"""The form that says who moves, and when."""

from datetime import date
from typing import Any
from uuid import uuid4

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.models import PlanVersion
from billing.catalog.states import VersionState
from billing.moves.choosing import subscribers
from billing.moves.criteria import OWN_TERMS, Criteria, read_ids, read_when
from billing.moves.errors import CriteriaError
from customers.models import Contract, LegalEntity

DAY = {"type": "date"}
WHEN = [
    ("date", "On a day"),
    ("period", "At each contract’s next billing period"),
    ("renewal", "At each contract’s next renewal"),
]


def _day(label: str, help_text: str = "") -> forms.DateField:
    widget = UnfoldAdminTextInputWidget(attrs=DAY)
    return forms.DateField(label=label, required=False, widget=widget, help_text=help_text)


def _select(label: str, help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, widget=UnfoldAdminSelectWidget, help_text=help_text)


def _ids(label: str, help_text: str) -> forms.CharField:
    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})
    return forms.CharField(label=label, required=False, widget=widget, help_text=help_text)


class MoveForm(forms.Form):
    """The choice of who moves to `target`; `criteria` once it was found valid."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    versions = forms.MultipleChoiceField(label="From versions", widget=forms.CheckboxSelectMultiple, required=False)
    currency = _select("Currency")
    entity = _select("Legal entity")
    countries = forms.CharField(
        label="Countries", required=False, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "DE, FR"}),
        help_text="Of the customers, as ISO codes. Empty: all.",
    )  # fmt: skip
    started_from = _day("Contract started on or after")
    started_before = _day("Contract started before")
    only = _ids("Only these customers", "Your own ids of them, as pasted: one a line, or apart by commas. Empty: all.")
    without = _ids("Without these customers", "Likewise. They are shown as left out.")
    own_terms = forms.ChoiceField(
        label="Customers with own terms", choices=list(OWN_TERMS.items()), widget=UnfoldAdminSelectWidget
    )
    kind = forms.ChoiceField(
        label="They move", choices=WHEN, widget=UnfoldAdminSelectWidget,
        help_text="A renewal is the end of the contract’s term, or without one the next anniversary of its first day.",
    )  # fmt: skip
    day = _day(
        "Day", "In each contract’s time zone; that day has the new terms. For renewals and periods: nobody earlier."
    )

    def __init__(self, target: PlanVersion, now: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.target = target
        counts = subscribers(target.plan.product_id, now)
        kept = (
            PlanVersion.objects.filter(plan__product=target.plan.product_id)
            .exclude(pk=target.pk).exclude(state=VersionState.DRAFT).select_related("plan").order_by("plan", "-number")
        )  # fmt: skip
        found = list(kept)
        fields: dict[str, Any] = self.fields
        fields["versions"].choices = [(each.pk, f"{each}: {counts.get(each.pk, 0):,} now") for each in found]
        fields["versions"].initial = [
            each.pk for each in found if each.plan_id == target.plan_id and counts.get(each.pk)
        ]  # fmt: skip
        fields["token"].initial = uuid4()
        used = Contract.objects.order_by("currency").values_list("currency", flat=True).distinct()
        fields["currency"].choices = [("", "All"), *((each, each) for each in used)]
        fields["entity"].choices = [("", "All"), *((each.pk, each.name) for each in LegalEntity.objects.all())]

    def clean(self) -> dict[str, Any]:
        """The criteria, or what is wrong, at its field."""
        given = super().clean() or self.cleaned_data
        if self.errors:
            return given
        try:
            self.criteria = Criteria(
                versions=tuple(int(each) for each in given["versions"]),
                when=read_when(given["kind"], given["day"]),
                currency=given["currency"], entity=int(given["entity"]) if given["entity"] else None,
                countries=tuple(each.upper() for each in read_ids(given["countries"], "countries")),
                started_from=given["started_from"], started_before=given["started_before"],
                only=read_ids(given["only"], "only"), without=read_ids(given["without"], "without"),
                own_terms=given["own_terms"],
            )  # fmt: skip
        except CriteriaError as error:
            self.refuse(error)
        return given

    def refuse(self, error: CriteriaError) -> None:
        """Say at the field what is wrong with it."""
        self.add_error({"when": "kind"}.get(error.field, error.field), str(error))

    def in_past(self, today: date) -> bool:
        """Whether the day lies behind."""
        when = self.criteria.when
        return when.kind == "date" and when.day is not None and when.day < today

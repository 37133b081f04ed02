"""Forms in which RevOps agrees what holds for a contract as a whole, and applies coupons."""

import json
from abc import abstractmethod
from datetime import date
from typing import Any

from django import forms
from django.db.models import Q
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from billing.catalog.agreements import services
from billing.catalog.agreements.states import AgreementKind
from billing.catalog.coupons.models import Coupon
from billing.catalog.coupons.services import redeem
from billing.catalog.models import ChargeCode
from billing.catalog.terms.forms import day, figure, reason
from billing.invoicing.agreed.pages import coupon_in_words
from billing.money import plain
from customers.models import Contract, Customer

YEARS = 5


def several(label: str, hint: str) -> forms.MultipleChoiceField:
    """Some of what there is; none chosen is all of it."""
    widget = UnfoldAdminCheckboxSelectMultipleWidget()
    return forms.MultipleChoiceField(label=label, required=False, widget=widget, help_text=hint)


class PricesField(forms.JSONField):
    """Prices as JSON; empty where there are none."""

    def prepare_value(self, value: Any) -> Any:
        """Nothing, in place of “null”."""
        return "" if value is None else super().prepare_value(value)


class CouponField(forms.ModelChoiceField):
    """Coupons with what they take off."""

    def label_from_instance(self, obj: Any) -> str:
        """“SPRING: 10 % off, for 3 periods”."""
        return f"{obj.code}: {coupon_in_words(obj)}"


class AgreedForm(forms.Form):
    """A term of a contract as a whole."""

    title: str
    about: str
    charges = several("Charges that count", "None chosen: all of them.")
    name = forms.CharField(
        label="Name", required=False, max_length=100, widget=UnfoldAdminTextInputWidget(),
        help_text="As printed on the invoice. Empty: what it is.",
    )  # fmt: skip
    start = day("From", help_text="First day, in the contract's time zone. It may lie in the past.")
    end = day("Until", required=False, help_text="The day after the last one. Empty: open, or the contract's end.")
    reason = reason()

    @abstractmethod
    def agree(self, **who: Any) -> None:
        """Agree what was filled in."""

    def __init__(self, *args: Any, contract: Contract, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.contract = contract
        lines = contract.subscriptions.select_related("product")
        codes = ChargeCode.objects.filter(product__in=[each.product_id for each in lines]).order_by("code")
        choices: dict[str, list[tuple[str, str]]] = {
            "charges": sorted({(each.code, each.code) for each in codes}),
            "subscriptions": [(each.code, f"{each.code} ({each.product})") for each in lines],
            "products": sorted({(each.product.code, each.product.name) for each in lines}),
        }
        for field in choices.keys() & self.fields.keys():
            self.fields[field].choices = choices[field]  # type: ignore[attr-defined]

    def value(self) -> dict[str, Any]:
        """What of the value is chosen from lists, and its name."""
        given = self.cleaned_data
        return {key: given[key] for key in ("subscriptions", "products", "charges", "name") if given.get(key)}


class SpendForm(AgreedForm):
    """A minimum, a maximum or a commitment."""

    title = "Agree spending"
    about = "What the contract comes to at least or at most, or what they commit to, over all that counts together."
    kind = forms.ChoiceField(
        label="What", widget=UnfoldAdminSelectWidget(),
        choices=[each for each in AgreementKind.choices if each[0] != AgreementKind.DISCOUNT],
    )  # fmt: skip
    amount = figure("Amount", help_text="In the contract's currency.")
    per = forms.ChoiceField(
        label="Counted", widget=UnfoldAdminSelectWidget(), required=False,
        choices=[("cycle", "Each period"), ("term", "Over the whole time (a commitment)")],
    )  # fmt: skip
    years = forms.CharField(
        label="Amounts of the years after", required=False, widget=UnfoldAdminTextInputWidget(),
        help_text="One a contract year, e.g. 150000, 200000. Then each year has its own, and “until” follows.",
    )  # fmt: skip
    overage_factor = figure("Beyond it, times", required=False, help_text="Of a commitment: 0.8 is 20 % less.")
    overage_prices = PricesField(
        label="Or beyond it, at other prices", required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "style": "font-family: ui-monospace, monospace"}),
        help_text='By charge, as in a plan: {"tokens": {"model": "per_unit", "unit_amount": "0.004"}}.',
    )  # fmt: skip
    subscriptions = several("Subscriptions that count", "None chosen: all, of the products below.")
    products = several("Products that count", "None chosen: all.")
    field_order = ("kind", "amount", "per", "years", "overage_factor", "overage_prices", "subscriptions", "products",
                   "charges", "name")  # fmt: skip

    def clean_years(self) -> list[str]:
        """Amounts, one a year."""
        try:
            found = [plain(forms.DecimalField(min_value=0).clean(each.strip()))
                     for each in self.cleaned_data["years"].split(",") if each.strip()]  # fmt: skip
        except forms.ValidationError as error:
            raise forms.ValidationError("Write amounts with commas between them, such as 150000, 200000.") from error
        if len(found) >= YEARS:
            raise forms.ValidationError(f"At most {YEARS - 1} further years.")
        return found

    def agree(self, **who: Any) -> None:
        """Agree it, in steps where each year has an amount."""
        given, value = self.cleaned_data, self.value()
        if given["kind"] == AgreementKind.COMMITMENT:
            value["per"] = given["per"] or "cycle"
            if given.get("overage_prices"):
                value["overage_prices"] = json.loads(json.dumps(given["overage_prices"]))
            elif given.get("overage_factor") is not None:
                value["overage_factor"] = plain(given["overage_factor"])
        common = {"contract": self.contract, "kind": given["kind"], "reason": given["reason"]} | who
        amounts = [plain(given["amount"]), *given["years"]]
        if len(amounts) == 1:
            services.agree(value=value | {"amount": amounts[0]}, start=given["start"], end=given["end"], **common)
            return
        steps = [(years_after(given["start"], year), value | {"amount": each}) for year, each in enumerate(amounts)]
        services.agree_ramp(steps=steps, end=years_after(given["start"], len(amounts)), **common)


class DiscountForm(AgreedForm):
    """Off every bill of the contract."""

    title = "Discount on invoices"
    about = "A percentage, or an amount each period, off what the contract is charged. Coupons are for campaigns."
    what = forms.ChoiceField(
        label="What comes off", widget=UnfoldAdminSelectWidget(),
        choices=[("percentage", "A percentage"), ("amount", "An amount each period")],
    )  # fmt: skip
    figure = figure("How much")
    field_order = ("what", "figure", "charges", "name")

    def agree(self, **who: Any) -> None:
        """Agree it."""
        given = self.cleaned_data
        services.agree(
            contract=self.contract, kind=AgreementKind.DISCOUNT, start=given["start"], end=given["end"],
            value=self.value() | {given["what"]: plain(given["figure"])}, reason=given["reason"], **who,
        )  # fmt: skip


class ApplyForm(forms.Form):
    """A coupon for a contract, or for all of a customer's."""

    coupon = CouponField(
        Coupon.objects.none(), label="Coupon", widget=UnfoldAdminSelectWidget(), empty_label="Choose a coupon"
    )
    contract = forms.ModelChoiceField(
        Contract.objects.none(), label="For", required=False, widget=UnfoldAdminSelectWidget(),
        empty_label="All contracts of the customer, also later ones",
        help_text="A coupon of an amount is for one contract.",
    )  # fmt: skip
    start = day("From", help_text="It begins with the billing period that this day lies in.")
    rank = forms.IntegerField(
        label="Place in the order", required=False, min_value=1, max_value=999,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
        help_text="Empty: narrow ones first, then percentages before amounts, then by age.",
    )  # fmt: skip
    reason = reason()

    def __init__(self, *args: Any, customer: Customer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.customer = customer
        mine = customer.contracts.order_by("number")
        currencies = {each.currency for each in mine}
        known = Q(currency="") | Q(currency__in=currencies)
        self.fields["coupon"].queryset = Coupon.objects.filter(known, retired_at=None)  # type: ignore[attr-defined]
        self.fields["contract"].queryset = mine  # type: ignore[attr-defined]

    def contracts(self) -> list[Contract]:
        """Those that it would be for and that are billed."""
        given = self.cleaned_data.get("contract")
        return [given] if given else list(self.customer.contracts.filter(state="active").order_by("number"))

    def agree(self, **who: Any) -> None:
        """Redeem it."""
        given = self.cleaned_data
        redeem(customer=self.customer, **{key: given[key] for key in self.fields}, **who)


class StopForm(forms.Form):
    """On which day something ends, and why."""

    at = day("Ends on", help_text="The day after its last one.")
    reason = reason()


class ReasonForm(forms.Form):
    """Why something is undone."""

    reason = reason()


def years_after(start: date, years: int) -> date:
    """The same day some years later; 29 February becomes 28."""
    try:
        return start.replace(year=start.year + years)
    except ValueError:
        return start.replace(year=start.year + years, day=28)

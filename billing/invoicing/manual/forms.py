"""Forms in which finance adds to a draft by hand. Each carries out its verb with what was filled in."""

from abc import abstractmethod
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from billing.catalog.terms.forms import day
from billing.invoicing.manual import services
from billing.invoicing.manual.checking import service_of
from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.models import Invoice, InvoiceLine
from billing.money import plain
from billing.periods import local_date
from customers.backoffice import amount_text
from customers.models import Contract

WHOLE = "All lines of the contract on this draft"


def number(label: str, hint: str = "", places: int = 6) -> forms.DecimalField:
    """A decimal that may be left out."""
    return forms.DecimalField(
        label=label, required=False, max_digits=24, decimal_places=places, widget=UnfoldAdminDecimalFieldWidget(),
        help_text=hint,
    )  # fmt: skip


def text(label: str, hint: str, most: int = 150) -> forms.CharField:
    """What is printed."""
    return forms.CharField(label=label, max_length=most, widget=UnfoldAdminTextInputWidget(), help_text=hint)


def why() -> forms.CharField:
    """Kept with what is done."""
    return forms.CharField(
        label="Reason", max_length=300, widget=UnfoldAdminTextInputWidget(),
        help_text="E.g. “Agreed with Kim on the phone”. Colleagues and auditors see it; it is not printed.",
    )  # fmt: skip


class ManualForm(forms.Form):
    """What is common: the draft, and the contract on it that a line is of."""

    title: str
    about: str
    done: str

    @abstractmethod
    def carry_out(self, user: Any, now: datetime) -> object:
        """Do what was filled in."""

    def __init__(self, *args: Any, invoice: Invoice, old: ManualLine | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invoice, self.old = invoice, old
        found = Contract.objects.filter(streams__lines__invoice=invoice).distinct().order_by("number")
        self.contracts = {str(each.pk): each for each in found}
        if "contract" in self.fields:
            if len(self.contracts) == 1 or old is not None:
                del self.fields["contract"]
            else:
                choices = [(key, str(each)) for key, each in self.contracts.items()]
                self.fields["contract"].choices = choices  # type: ignore[attr-defined]

    def chosen(self) -> Contract:
        """The one that was chosen, or the only one."""
        if self.old is not None:
            return self.old.contract
        chosen = self.cleaned_data.get("contract")
        return self.contracts[chosen] if chosen else next(iter(self.contracts.values()))


def contract_field() -> forms.ChoiceField:
    """Which contract of the draft."""
    return forms.ChoiceField(label="Contract", widget=UnfoldAdminSelectWidget())


class LineForm(ManualForm):
    """A line of one's own, or another version of one."""

    title, done = "Add a line", "Line added"
    about = "It is billed once, whatever usage or terms become. Give an amount, or a quantity and a unit price."
    contract = contract_field()
    text = text("Text", "As printed on the invoice.")
    amount = number("Amount", "Negative for a credit. Leave it empty where there is a unit price.", 4)
    quantity = number("Quantity")
    unit = forms.CharField(
        label="Unit", required=False, max_length=40, widget=UnfoldAdminTextInputWidget(), help_text="E.g. hour."
    )
    unit_price = number("Unit price")
    first = day("First day of service")
    last = day("Last day of service", help_text="Revenue is earned by day from the first to the last.")
    due_on = day("Bill on drafts as of", help_text="A later day leaves it to a later draft.")
    reason = why()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first: dict[str, Any] = dict.fromkeys(("first", "last", "due_on"), self.invoice.as_of)
        if self.old is not None:
            self.title, self.done = f"Change “{self.old}”", "Line changed"
            names = ("text", "amount", "quantity", "unit", "unit_price", "due_on")
            zone = self.old.contract.timezone
            first = {name: _plain(getattr(self.old, name)) for name in names} | {
                "first": local_date(self.old.start, zone), "last": local_date(self.old.end - datetime.resolution, zone),
            }  # fmt: skip
        self.initial = {**first, **self.initial}

    def carry_out(self, user: Any, now: datetime) -> object:
        """Add the line, or say it anew."""
        given = {name: self.cleaned_data[name] for name in self.fields if name not in ("contract", "first", "last")}
        given |= {"invoice_id": self.invoice.pk, "user": user, "now": now}
        first, last, contract = self.cleaned_data["first"], self.cleaned_data["last"], self.chosen()
        if self.old is None:
            return services.add_line(contract=contract, first=first, last=last, **given)
        start, end = service_of(contract, first, last)
        return services.say_anew(line=self.old, start=start, end=end, **given)


class DiscountForm(ManualForm):
    """Something off the draft, or off one of its lines."""

    title, done = "Add a discount", "Discount added"
    about = "It comes off once, and never more than there is. Give an amount or a percentage."
    contract = contract_field()
    of = forms.ChoiceField(label="Off", required=False, widget=UnfoldAdminSelectWidget())
    text = text("Text", "As printed, before what it is off: “Goodwill: Tokens”.")
    amount = number("Amount off", "", 4)
    percentage = number("Percentage off")
    reason = why()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = {str(each.pk): each for each in _discountable(self.invoice)}
        rows = [(key, _line_name(each, self.invoice)) for key, each in self.lines.items()]
        self.fields["of"].choices = [("", WHOLE), *rows]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A line is of its own contract."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        line = self.lines.get(found.get("of") or "")
        if line is not None and "contract" in self.fields:
            found["contract"] = str(line.stream.contract_id)
        return found

    def carry_out(self, user: Any, now: datetime) -> object:
        """Add the discount."""
        given = {name: self.cleaned_data[name] for name in ("text", "amount", "percentage", "reason")}
        return services.add_discount(
            contract=self.chosen(), of=self.lines.get(self.cleaned_data["of"]), due_on=self.invoice.as_of,
            invoice_id=self.invoice.pk, user=user, now=now, **given,
        )  # fmt: skip


class NoteForm(ManualForm):
    """A note on the document, or about it."""

    title, done = "Add a note", "Note added"
    about = "It stays with the draft however often that is drawn up anew, and with the invoice that it becomes."
    text = forms.CharField(label="Note", max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))
    printed = forms.BooleanField(
        label="Print it on the document", required=False, widget=UnfoldBooleanSwitchWidget(),
        help_text="Otherwise only colleagues see it.",
    )  # fmt: skip

    def carry_out(self, user: Any, now: datetime) -> object:
        """Add the note."""
        return services.add_note(invoice=self.invoice, user=user, now=now, **self.cleaned_data)


class TakeBackForm(ManualForm):
    """Why a line, a discount or a note shall not stand any more."""

    title, done = "Take it back", "Taken back"
    about = "As if it had never been added."
    reason = why()
    what: ManualLine | InvoiceNote

    def carry_out(self, user: Any, now: datetime) -> None:
        """Take it back."""
        who = {"reason": self.cleaned_data["reason"], "user": user, "now": now}
        if isinstance(self.what, InvoiceNote):
            services.take_back_note(note=self.what, invoice=self.invoice, **who)
        else:
            services.take_back(line=self.what, invoice_id=self.invoice.pk, **who)


def _discountable(invoice: Invoice) -> list[InvoiceLine]:
    """Lines that bill something, and correct nothing."""
    found = invoice.lines.filter(amount__gt=0, corrects=None).select_related("stream__contract")
    return list(found.order_by("position"))


def _line_name(line: InvoiceLine, invoice: Invoice) -> str:
    """“3 · Tokens, USD 10.00, from 2026-01-01”."""
    first = local_date(line.service_start, line.stream.contract.timezone)
    amount = amount_text(line.amount, invoice.currency)
    return f"{line.position} · {line.description}, {invoice.currency} {amount}, from {first}"


def _plain(value: Any) -> Any:
    """A number without the zeros that the database adds."""
    return plain(value) if isinstance(value, Decimal) else value

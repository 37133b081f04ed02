"""Pages of what contracts agree as a whole: their terms and coupons, and what a coupon does to the next bill."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from billing.catalog.agreements import services as agreements
from billing.catalog.agreements.models import ContractTerm
from billing.catalog.coupons import services as coupons
from billing.catalog.coupons.models import Redemption
from billing.catalog.errors import CatalogError
from billing.invoicing.agreed import forms, pages
from billing.invoicing.agreed.effect import Effect, effect_of
from billing.invoicing.errors import InvoicingError
from billing.periods import local_date
from config import clock
from customers.backoffice import RecordAdmin, change_url, link_to
from customers.models import Contract, Customer

FORMS: dict[str, type[forms.AgreedForm]] = {"spending": forms.SpendForm, "discount": forms.DiscountForm}


@admin.register(ContractTerm)
class ContractTermAdmin(RecordAdmin):
    """All terms of contracts as a whole; each is agreed, ended and undone on the page of its contract."""

    list_display = ("contract_link", "customer_link", "kind", "words", "since", "until")
    list_filter = (("kind", ChoicesDropdownFilter),)
    list_select_related = ("contract__customer",)
    list_display_links = None
    search_fields = ("contract__number", "contract__customer__legal_name", "contract__customer__external_id")
    search_help_text = "Contract number, customer's name or your own id of the customer"
    empty_hint = "Open a contract and press “Agreements”: minimums, maximums, commitments and discounts of the whole."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContractTerm]:
        """Those that stand."""
        return super().get_queryset(request).filter(superseded_at=None)

    @display(description="Contract", ordering="contract__number")
    def contract_link(self, term: ContractTerm) -> str:
        """To the contract's agreements."""
        return link_to(term.contract)

    @display(description="Customer", ordering="contract__customer__legal_name")
    def customer_link(self, term: ContractTerm) -> str:
        """The customer, one click away."""
        return link_to(term.contract.customer)

    @display(description="Says")
    def words(self, term: ContractTerm) -> str:
        """In words."""
        return pages.term_row(term, term.contract, clock.now()).words

    @display(description="From", ordering="start")
    def since(self, term: ContractTerm) -> Any:
        """The first day."""
        return local_date(term.start, term.contract.timezone)

    @display(description="Until", ordering="end")
    def until(self, term: ContractTerm) -> Any:
        """The day after the last one."""
        return local_date(term.end, term.contract.timezone) if term.end else "open"

    def get_urls(self) -> list[Any]:
        """With the pages of contracts and customers."""
        view = self.admin_site.admin_view
        own = [
            path("of/<int:pk>/", view(self.contract_view), name="billing_agreed"),
            path("of/<int:pk>/agree/<slug:kind>/", view(self.agree_view), name="billing_agreed_agree"),
            path("of/<int:pk>/<slug:what>/<int:fact>/<slug:verb>/", view(self.stop_view), name="billing_agreed_stop"),
            path("coupon/<int:pk>/", view(self.apply_view), name="billing_coupon_apply"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of the contract, where it stands among the others."""
        term = get_object_or_404(ContractTerm, pk=object_id)
        return HttpResponseRedirect(reverse("admin:billing_agreed", args=[term.contract_id]))

    def contract_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the contract as a whole has agreed and redeemed."""
        contract, now = self._contract(request, pk), clock.now()
        terms, redeemed = pages.term_rows(contract, now), pages.coupon_rows(contract, now)
        context = {
            "title": f"Agreements of {contract}", "terms": pages.standing(terms), "coupons": pages.standing(redeemed),
            "timeline": pages.happened([*terms, *redeemed]), "may": _may(request), "original": contract,
        }  # fmt: skip
        return self._page(request, contract, "agreed.html", context)

    def agree_view(self, request: HttpRequest, pk: int, kind: str) -> HttpResponse:
        """The form of a kind; once it holds, the term stands."""
        contract = self._contract(request, pk, change=True)
        if kind not in FORMS:
            raise Http404(f"There is no kind of term “{kind}”.")
        form = FORMS[kind](request.POST or None, contract=contract)
        back = reverse("admin:billing_agreed", args=[pk])
        if request.method == "POST" and form.is_valid() and self._done(request, contract, form, "Agreed.", form.agree):
            return HttpResponseRedirect(back)
        context = {"title": form.title, "form": form, "back": back}
        return self._page(request, contract, "agreed_form.html", context)

    def apply_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A coupon for a customer or a contract: first what it does to the next bill, then it stands."""
        customer = get_object_or_404(Customer, pk=pk)
        if not _may(request):
            raise PermissionDenied
        first = {"start": local_date(clock.now(), customer.timezone), "contract": request.GET.get("contract", "")}
        form = forms.ApplyForm(request.POST or None, customer=customer, initial=first)
        effects: list[Effect] = []
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data["contract"]
            back = reverse("admin:billing_agreed", args=[chosen.pk]) if chosen else change_url(customer)
            if "preview" in request.POST:
                effects = self._effects(request, form)
            elif self._done(request, chosen or customer, form, f"{form.cleaned_data['coupon']}: applied.", form.agree):
                return HttpResponseRedirect(back)
        context = {"title": "Apply a coupon", "form": form, "customer": customer, "effects": effects,
                   "back": change_url(customer)}  # fmt: skip
        return self._page(request, customer, "coupon_apply.html", context)

    def stop_view(self, request: HttpRequest, pk: int, what: str, fact: int, verb: str) -> HttpResponse:
        """End a term or a coupon on a day, or undo it."""
        contract, now = self._contract(request, pk, change=True), clock.now()
        rows = {"term": pages.term_rows, "coupon": pages.coupon_rows}.get(what)
        row = (
            next((each for each in pages.standing(rows(contract, now)) if each.fact.pk == fact), None) if rows else None
        )
        if row is None or verb not in ("end", "undo", "undo-ramp"):
            raise Http404("It does not stand any more, or this cannot be done to it.")
        form: Any = (forms.StopForm if verb == "end" else forms.ReasonForm)(request.POST or None)
        back = reverse("admin:billing_agreed", args=[pk])
        done = f"{'Ended' if verb == 'end' else 'Undone'}: {row.what.lower()}."
        sent = request.method == "POST" and form.is_valid()
        if sent and self._done(request, contract, form, done, lambda **who: _stop(row, verb, form.cleaned_data, who)):
            return HttpResponseRedirect(back)
        title = {"end": "End it", "undo": "Undo it", "undo-ramp": "Undo all steps"}[verb]
        context = {"title": title, "form": form, "row": row, "verb": verb, "back": back}
        return self._page(request, contract, "agreed_stop.html", context)

    def _effects(self, request: HttpRequest, form: forms.ApplyForm) -> list[Effect]:
        now = clock.now()
        try:
            return effect_of(form.contracts(), lambda: form.agree(user=request.user, now=now), now)
        except (CatalogError, InvoicingError) as error:
            form.add_error(None, str(error))
            return []

    def _done(self, request: HttpRequest, about: Contract | Customer, form: Any, done: str, verb: Any) -> bool:
        """Run one verb and record it; what it refuses stands on the form."""
        return self.carry_out(
            request, about, done, lambda: verb(user=request.user, now=clock.now()), refusals=CatalogError, form=form,
            after=" The next billing run counts it.",
        )  # fmt: skip

    def _contract(self, request: HttpRequest, pk: int, *, change: bool = False) -> Contract:
        """The contract, for those who may see it, or with `change` agree its terms."""
        if not request.user.has_perm("customers.view_contract") or (change and not _may(request)):
            raise PermissionDenied
        return get_object_or_404(Contract.objects.select_related("customer"), pk=pk)

    def _page(
        self, request: HttpRequest, about: Contract | Customer, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "about": about, "media": self.media}
        if isinstance(about, Contract):
            shared["contract"] = about
        return TemplateResponse(request, f"billing/admin/{template}", shared | context)


def _may(request: HttpRequest) -> bool:
    """Who may subscribe customers may agree their terms."""
    return bool(request.user.has_perm("billing.add_subscription"))


def _stop(row: pages.Row, verb: str, given: dict[str, Any], who: dict[str, Any]) -> None:
    """The service call that a button means."""
    fact, why = row.fact, given["reason"]
    if isinstance(fact, Redemption):
        if verb == "end":
            coupons.remove(redemption=fact, at=given["at"], reason=why, **who)
        else:
            coupons.undo(redemption=fact, reason=why, **who)
    elif verb == "end":
        agreements.end_agreement(term=fact, at=given["at"], reason=why, **who)
    else:
        agreements.undo_agreement(term=fact, whole_ramp=verb == "undo-ramp", reason=why, **who)

"""“Next invoices” on the page of a contract, which knows nothing of it: what will be invoiced, with assumed usage."""

from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import action

from billing.invoicing.agreed.buttons import add_button
from billing.rehearsal.assumed import Assumption
from billing.rehearsal.errors import CannotAssume
from billing.rehearsal.forms import AskForm, UsageFileForm
from billing.rehearsal.pages import cards_of
from billing.rehearsal.upcoming import upcoming
from config import clock
from customers.backoffice import change_url, granted
from customers.models import Contract
from customers.states import ContractState

MAY_SEE = "billing.view_invoice"


class NextInvoices:
    """The button and its page."""

    has_upcoming_permission = granted(MAY_SEE)

    @action(description="Next invoices", icon="event_upcoming", permissions=["upcoming"])
    def next_invoices(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To what comes next."""
        return HttpResponseRedirect(reverse("admin:billing_next_invoices", args=[unquote(object_id)]))

    def get_urls(self: Any) -> list[Any]:
        """With ours."""
        view = self.admin_site.admin_view(self.next_invoices_view)
        return [path("<int:pk>/next/", view, name="billing_next_invoices"), *super().get_urls()]  # type: ignore[misc]

    def next_invoices_view(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        """The next invoices: by what the address asks, and by a file where one is sent. Nothing is written."""
        contract = get_object_or_404(Contract.objects.select_related("customer"), pk=pk)
        if not (request.user.has_perm(MAY_SEE) and self.has_view_permission(request, contract)):
            raise PermissionDenied
        ask = AskForm({"invoices": "3", "assume": "last"} | request.GET.dict())
        upload = UsageFileForm(request.POST or None, request.FILES or None) if request.method == "POST" else None
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "original": contract, "contract": contract,
            "title": f"Next invoices of {contract}", "ask": ask, "upload": upload or UsageFileForm(),
            "back": change_url(contract), **_answer(contract, ask, upload),
        }  # fmt: skip
        return TemplateResponse(request, "billing/admin/next_invoices.html", context)


def _answer(contract: Contract, ask: AskForm, upload: UsageFileForm | None) -> dict[str, Any]:
    """The cards, or the sentence that says why there are none."""
    if contract.state != ContractState.ACTIVE:
        return {"problem": f"Contract {contract} is a draft, and drafts are not billed: activate it first."}
    if not ask.is_valid() or (upload is not None and not upload.is_valid()):
        return {}
    given: dict[tuple[int, int], Decimal] | None = upload.given if upload else None
    asked = ask.cleaned_data
    try:
        found = upcoming(
            contract=contract, count=asked["invoices"], assumption=Assumption(clock.now(), asked["assume"], given)
        )
    except CannotAssume as error:
        return {"problem": str(error)}
    return {
        "cards": cards_of(found, contract),
        "asked": True,
        "from_file": upload.cleaned_data["file"] if upload else None,
    }


add_button(Contract, NextInvoices, "next_invoices")

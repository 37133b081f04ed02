"""“Renew” and “Notice” on the page of a contract."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from billing.catalog.renewals import services
from billing.catalog.renewals.forms import NoticeForm, RenewForm
from billing.catalog.renewals.models import Renewal
from billing.money import plain
from config import clock
from customers.backoffice import NONE
from customers.models import Contract
from customers.states import ContractState

STEPS = ("renew", "notice")


class RenewalSteps:
    """Buttons for an active contract that has an end, and what became of it before."""

    @display(description="Renewed")
    def renewed(self, contract: Contract) -> SafeString | str:
        """A line a renewal."""
        rows = (
            (each.start, each.end or "open end", f", {plain(each.uplift)} % more" if each.uplift else "",
             "by itself" if each.automatic else f"by {each.recorded_by or 'nobody in particular'}")
            for each in Renewal.objects.filter(contract=contract).select_related("recorded_by")
        ) if contract.pk else ()  # fmt: skip
        return format_html_join("", '<div class="mb-figure-inline">From {} until {}{}, {}</div>', rows) or NONE

    def get_actions_detail(self: Any, request: HttpRequest, object_id: Any) -> list[Any]:
        """As before, and ours."""
        steps = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        if not hasattr(request, "renewable"):  # asked for several times a page
            ended = Contract.objects.filter(pk=unquote(str(object_id)), state=ContractState.ACTIVE, end__isnull=False)
            request.renewable = ended.exists()  # type: ignore[attr-defined]
        if not request.renewable:  # type: ignore[attr-defined]
            return [step for step in steps if step.path not in STEPS]
        return steps

    @action(description="Renew", icon="autorenew", permissions=["subscribe"], dialog={
        "title": "Renew this contract",
        "description": "It goes on from its end, and with it every subscription that has no end of its own.",
        "form_class": RenewForm,
        "form_submit_text": "Renew",
    })  # fmt: skip
    def renew(self: Any, request: HttpRequest, form: RenewForm, object_id: str) -> HttpResponse:
        """A new term."""
        given, contract = form.cleaned_data, self._contract(request, object_id)
        return self._do(
            request, contract,
            lambda: services.renew(
                contract=contract, end=given["end"], uplift=given["uplift"], user=request.user,
                now=clock.now(),
            ),
            f"Renewed from {contract.end} until {given['end'] or 'further notice'}.",
        )  # fmt: skip

    @action(description="Notice", icon="event_busy", permissions=["subscribe"], dialog={
        "title": "Notice of the end",
        "description": "A contract that renews by itself ends when notice of it was given in time.",
        "form_class": NoticeForm,
        "form_submit_text": "Save",
    })  # fmt: skip
    def notice(self: Any, request: HttpRequest, form: NoticeForm, object_id: str) -> HttpResponse:
        """It ends; or goes on, where notice is taken back."""
        on, contract = form.cleaned_data["on"], self._contract(request, object_id)
        done = f"Notice given on {on}: it ends on {contract.end}." if on else "Notice taken back."
        return self._do(request, contract, lambda: services.give_notice(contract=contract, on=on), done)


def add_steps() -> None:
    """Register the contract's page again, with the buttons."""
    page: Any = type(admin.site.get_model_admin(Contract))
    admin.site.unregister(Contract)
    renewal = {"title": "Renewal", "icon": "autorenew", "items": list(STEPS)}
    sets = [
        (name, {**options, "fields": (*options["fields"], "renewed")} if name == "Renewal" else options)
        for name, options in page.fieldsets
    ]
    changed = {
        "actions_detail": (*page.actions_detail, renewal), "readonly_fields": (*page.readonly_fields, "renewed"),
        "fieldsets": sets, "__doc__": page.__doc__,
    }  # fmt: skip
    admin.site.register(Contract, type(page.__name__, (RenewalSteps, page), changed))


add_steps()

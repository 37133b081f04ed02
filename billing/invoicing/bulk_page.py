"""The page between choosing invoices and moving them: how many, how much, and which are skipped and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from billing.invoicing.bulk.services import request_bulk
from billing.invoicing.bulk.states import Verb
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice
from billing.invoicing.results import BulkResult
from config import clock
from customers.backoffice import OfficeAdmin, amount_text, change_url

NAMED = 10  # more that were skipped have a page of their own
SHOWN = 100  # rows named on the page; the totals count them all
AT_ONCE = 20  # more are left to the workers, and followed on a page of their own


@dataclass(frozen=True)
class Step:
    """Moves of many invoices: `ready` is the state they start from, `run` the service that makes them now."""

    action: str
    verb: str
    done: str
    ready: str
    note: str
    verbs: tuple[Verb, ...]
    run: Callable[[Sequence[int]], BulkResult]


def totals_text(invoices: Sequence[Invoice]) -> str:
    """“EUR 48,210.00 and USD 12.00”: the sum of the totals, by currency."""
    sums: dict[str, Decimal] = {}
    for invoice in invoices:
        sums[invoice.currency] = sums.get(invoice.currency, Decimal(0)) + invoice.total
    return " and ".join(amount_text(total, currency) for currency, total in sorted(sums.items())) or "nothing"


def confirm_and_run(
    request: HttpRequest, page: OfficeAdmin, queryset: QuerySet[Invoice], step: Step
) -> HttpResponse | None:
    """Ask first; on “confirm” run the step, say how it went, and return to the filtered list (None).

    Many are left to the workers: then it goes on to the page that says how far they are.

    The confirmation holds for what it showed: when the choice has changed meanwhile (“all of the list” may have grown),
    it is asked again.
    """
    chosen = list(queryset.select_related("customer", "contract").order_by("id"))
    ready = [invoice for invoice in chosen if invoice.state == step.ready]
    shown = f"{len(ready)}:{totals_text(ready)}"
    if request.POST.get("confirm") == shown and ready:
        if len(ready) > AT_ONCE:
            return _begin(request, step, ready)
        result = step.run([invoice.pk for invoice in ready])
        report(request, page, step, result, others=len(chosen) - len(ready))
        return _skipped_page(request, page, step, result) if len(result.skipped) > NAMED else None
    if "confirm" in request.POST:
        messages.warning(request, "The invoices have changed since you chose them: please look again.")
    return TemplateResponse(request, "billing/admin/bulk.html", _context(request, page, step, chosen, ready, shown))


def _begin(request: HttpRequest, step: Step, ready: Sequence[Invoice]) -> HttpResponse | None:
    """Hand them to the workers."""
    ids, who = [invoice.pk for invoice in ready], cast(AbstractBaseUser, request.user)
    try:
        action = request_bulk(invoice_ids=ids, verbs=step.verbs, user=who, now=clock.now())
    except InvoicingError as error:
        messages.error(request, str(error))
        return None
    if left := len(ids) - action.items.count():
        messages.warning(request, f"{left} wait in another bulk action already and are left to that one.")
    return HttpResponseRedirect(change_url(action))


def _context(
    request: HttpRequest, page: OfficeAdmin, step: Step, chosen: list[Invoice], ready: list[Invoice], shown: str
) -> dict[str, Any]:
    skipped = [invoice for invoice in chosen if invoice.state != step.ready]
    return {
        **page.admin_site.each_context(request),
        "title": f"{step.verb} {len(ready)} invoice{'' if len(ready) == 1 else 's'}",
        "opts": page.opts,
        "step": step,
        "confirm": shown,
        "totals": totals_text(ready),
        "ready_count": len(ready),
        "ready": [(invoice, amount_text(invoice.total, invoice.currency)) for invoice in ready[:SHOWN]],
        "more": max(0, len(ready) - SHOWN),
        "skipped": [(invoice, _why(invoice, step)) for invoice in skipped[:SHOWN]],
        "skipped_count": len(skipped),
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        "back": request.get_full_path(),
    }


def _why(invoice: Invoice, step: Step) -> str:
    return f"It is {invoice.get_state_display().lower()}; only an invoice that is {step.ready} can be {step.done}."


def _skipped_page(request: HttpRequest, page: OfficeAdmin, step: Step, result: BulkResult) -> TemplateResponse:
    """Everything that was skipped, each with the reason."""
    context = {
        **page.admin_site.each_context(request),
        "title": f"{len(result.skipped)} of {len(result.done) + len(result.skipped)} skipped",
        "opts": page.opts,
        "step": step,
        "totals": totals_text(result.done),
        "done_count": len(result.done),
        "skipped": result.skipped,
        "skipped_count": len(result.skipped),
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, "billing/admin/bulk_skipped.html", context)


def _keep(request: HttpRequest, step: Step, result: BulkResult) -> None:
    """In the history of each; one statement, however many they are."""
    if result.done:
        LogEntry.objects.log_actions(
            user_id=request.user.pk, queryset=result.done, action_flag=CHANGE,
            change_message=f"{step.done.capitalize()}.",
        )  # fmt: skip


def report(request: HttpRequest, page: Any, step: Step, result: BulkResult, others: int = 0) -> None:
    """Say what was done with count and amount, and each that was not with the reason; keep it in the history."""
    _keep(request, step, result)
    if len(result.done) == 1:
        invoice = result.done[0]
        messages.success(request, f"{step.done.capitalize()} {invoice}, {totals_text(result.done)}.")
    elif result.done:
        done = f"{step.done.capitalize()} {len(result.done)} invoices, {totals_text(result.done)}"
        messages.success(request, done + (f"; {others} skipped, not {step.ready}." if others else "."))
    if len(result.skipped) > NAMED:
        messages.error(request, f"{len(result.skipped)} were skipped.")
        return
    for invoice, reason in result.skipped:
        messages.error(request, f"{invoice.customer}: {reason}")

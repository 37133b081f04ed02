"""The pages behind a signed link: the invoice, a line, files, and the question. Nothing else can be reached by it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from billing.hosted import services
from billing.hosted.errors import LinkAltered, LinkOver, TooManyQuestions
from billing.hosted.forms import QuestionForm
from billing.hosted.models import HostedLink
from billing.hosted.page import line_page_of, page_of
from billing.hosted.words import words_of
from billing.invoicing.behind.csv_file import usage_file
from billing.invoicing.documents import document_of, read_document
from billing.invoicing.explaining.events import events_file
from billing.invoicing.explaining.queries import WITH, explanation
from billing.invoicing.models import InvoiceLine
from billing.metering.months.errors import MonthDetached
from config import clock

View = Callable[..., HttpResponseBase]
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


def hosted(view: View) -> View:
    """Open the link that the address names; say clearly why it opens nothing. No search engine, cache or frame."""

    @wraps(view)
    def opened(request: HttpRequest, token: str, **keys: Any) -> HttpResponseBase:
        try:
            link = services.opened(token=token, now=clock.now())
        except LinkAltered as error:
            answer: HttpResponseBase = _nothing(request, 404, "en", str(error))
        except LinkOver as error:
            text = words_of(error.locale)[error.key].format(seller=error.seller)
            answer = _nothing(request, 410, words_of(error.locale)["language"], text)
        else:
            answer = view(request, link, **keys)
        answer["X-Robots-Tag"] = "noindex, nofollow"
        answer["Referrer-Policy"] = "same-origin"  # none at all would have the browser hide where a question comes from
        answer["Cache-Control"] = "private, no-store"
        answer["Content-Security-Policy"] = POLICY
        return answer

    return opened


@require_GET
@hosted
def invoice_view(request: HttpRequest, link: HostedLink) -> HttpResponse:
    """The invoice. Opening it is counted."""
    now = clock.now()
    services.seen(link=link, now=now)
    return render(request, "billing/hosted/invoice.html", page_of(link, now))


@require_GET
@hosted
def pdf_view(request: HttpRequest, link: HostedLink) -> FileResponse:
    """The document as it was issued."""
    content = read_document(document_of(invoice=link.invoice, now=clock.now()))
    answer = FileResponse(iter([content]), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="{link.invoice.number}.pdf"'
    return answer


@require_GET
@hosted
def usage_view(request: HttpRequest, link: HostedLink) -> HttpResponseBase:
    """The usage behind it as a CSV file."""
    try:
        return usage_file(link.invoice)
    except MonthDetached:
        return _archived(request, link)


@require_GET
@hosted
def line_view(request: HttpRequest, link: HostedLink, position: int) -> HttpResponse:
    """How a line came about."""
    context = line_page_of(link, _line(link, position)) | {"sent": "asked" in request.GET, "form": QuestionForm()}
    return render(request, "billing/hosted/line.html", context)


@require_GET
@hosted
def events_view(request: HttpRequest, link: HostedLink, position: int) -> HttpResponseBase:
    """The events behind a line as a CSV file, without what only the seller calls them."""
    try:
        return events_file(explanation(_line(link, position)), internal=False)
    except MonthDetached:
        return _archived(request, link)


@require_POST
@hosted
def ask_view(request: HttpRequest, link: HostedLink, position: int) -> HttpResponse:
    """Take a question about a line; what is wrong with it is said beside what was written."""
    line, form, locale = _line(link, position), QuestionForm(request.POST), (link.invoice.buyer or {})["locale"]
    problem, status = form.problem(locale), 400
    if not problem:
        try:
            services.ask(link=link, line=line, now=clock.now(), **form.cleaned_data)
        except TooManyQuestions as error:
            problem, status = words_of(locale)[error.key].format(seller=(link.invoice.seller or {})["name"]), 429
        else:
            return redirect(f"{reverse('hosted_line', args=[link.token, position])}?asked=1#questions")
    context = line_page_of(link, line) | {"problem": problem, "form": form}
    return render(request, "billing/hosted/line.html", context, status=status)


def _line(link: HostedLink, position: int) -> InvoiceLine:
    lines = InvoiceLine.objects.select_related(*WITH, "invoice__customer", "stream__contract__customer")
    found = lines.filter(invoice=link.invoice_id, position=position).first()
    if found is None:
        raise Http404("There is no such line on this document.")
    return found


def _archived(request: HttpRequest, link: HostedLink) -> HttpResponse:
    words = words_of((link.invoice.buyer or {})["locale"])
    text = words["archived"].format(seller=(link.invoice.seller or {})["name"])
    return _nothing(request, 409, words["language"], text)


def _nothing(request: HttpRequest, status: int, language: str, text: str) -> HttpResponse:
    return render(request, "billing/hosted/nothing.html", {"text": text, "language": language}, status=status)


urlpatterns = [
    path("<str:token>/", invoice_view, name="hosted"),
    path("<str:token>/pdf", pdf_view, name="hosted_pdf"),
    path("<str:token>/usage.csv", usage_view, name="hosted_usage"),
    path("<str:token>/lines/<int:position>/", line_view, name="hosted_line"),
    path("<str:token>/lines/<int:position>/events.csv", events_view, name="hosted_events"),
    path("<str:token>/lines/<int:position>/question", ask_view, name="hosted_ask"),
]

"""What lies on finance's desk at the end of the story: additions to drafts, a credit note, and what waits for it."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.contrib.auth.models import User
from django.db.models import QuerySet

from billing.hosted.services import ask, make_link, seen
from billing.invoicing.concessions.services import credit
from billing.invoicing.manual.services import add_discount, add_line, add_note
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.review.services import set_policy
from billing.invoicing.services import approve, issue
from billing.money import round_money
from billing.payments.queries import Standing, open_amount, with_standing
from billing.payments.writeoffs.services import request_write_off
from config import clock
from config.demo.history import to_review
from config.demo.inline import tasks_inline
from config.demo.people import Person
from config.demo.story import Story, once
from customers.models import Contract

PART: Final = Decimal("0.1")  # of a line, as a concession
TRUSTED: Final = {"USD": Decimal(10_000), "EUR": Decimal(9_000), "JPY": Decimal(1_500_000)}
WORKSHOP: Final = {"USD": Decimal(1800), "EUR": Decimal(1650), "JPY": Decimal(260_000)}


def trust(story: Story, people: Sequence[Person]) -> None:
    """A policy that approves the ordinary invoices of one customer, whose last invoice is not left for review."""
    with once("policy") as fresh:
        left = to_review(story, people)
        trusted = [each for each in people if each.plan == "build" and each.number not in left and not each.begins[0]]
        if not fresh or not trusted:
            return
        contract = Contract.objects.select_related("entity", "customer").get(number=trusted[0].number)
        since = story.month(1)
        set_policy(
            entity=contract.entity, customer=contract.customer, since=since, amount=TRUSTED[contract.currency],
            currency=contract.currency, change=Decimal(60), unusual=True, reason="Long known, pays on the day",
            user=User.objects.get(username="finance"), now=story.at(since - timedelta(days=20), 9),
        )  # fmt: skip


def lay_out(story: Story) -> None:
    """Everything that waits, in one transaction; nothing when it was done before."""
    with clock.set_to(story.now), tasks_inline(), once("desk") as fresh:
        if fresh:
            _add_to_drafts(story)
            _credit_one(story)
            _give_one_up(story)
            _let_one_ask(story)


def _add_to_drafts(story: Story) -> None:
    """A line on the first draft, a discount and a printed note on the second: added by RevOps, reviewed by finance."""
    revops = User.objects.get(username="revops")
    first, second = Invoice.objects.filter(state="draft").order_by("contract__number").select_related("contract")[:2]
    assert first.contract is not None  # the demo's customers have one contract each
    assert second.contract is not None
    day = story.current - timedelta(days=5)
    add_line(
        contract=first.contract, text="Workshop on evaluating prompts", due_on=first.as_of, first=day, last=day,
        amount=WORKSHOP[first.currency], reason="Order of the customer by e-mail", user=revops, now=story.now,
        invoice_id=first.pk,
    )  # fmt: skip
    add_discount(
        contract=second.contract, text="Goodwill", due_on=second.as_of, percentage=Decimal(5),
        reason="The API was slow for two days; agreed with support", user=revops, now=story.now, invoice_id=second.pk,
    )  # fmt: skip
    second.refresh_from_db()
    text = "Thank you for your patience while the API was slow."
    add_note(invoice=second, text=text, printed=True, user=revops, now=story.now)


def _credit_one(story: Story) -> None:
    """A tenth of the largest usage of a paid invoice, as an issued credit note: it becomes the customer's balance."""
    finance = User.objects.get(username="finance")
    drafts = Invoice.objects.filter(state="draft").values("contract_id")
    used = InvoiceLine.objects.filter(kind="usage", corrects=None, amount__gt=0).values("invoice_id")
    paid = _issued(story, Standing.PAID).filter(pk__in=used).exclude(contract__in=drafts)
    chosen = paid.order_by("-as_of", "id").first()
    if chosen is None:
        return
    line = chosen.lines.filter(kind="usage", corrects=None).order_by("-amount", "id")[0]
    amount = round_money(line.amount * PART, chosen.currency)
    reason = "Requests that timed out were counted twice"
    credit(invoice_id=chosen.pk, amounts={line.pk: amount}, reason=reason, user=finance, now=story.now)
    # The note, and beside it what the contract used of last month and told late, if anything.
    drawn_up = list(Invoice.objects.filter(state="draft", contract=chosen.contract).values_list("id", flat=True))
    approve(invoice_ids=drawn_up, user=finance, now=story.now)
    issue(invoice_ids=drawn_up, user=finance, now=story.now)


def _give_one_up(story: Story) -> None:
    """The invoice that is overdue longest is asked to be written off; somebody else than finance approves it."""
    overdue = _issued(story, Standing.OVERDUE).order_by("due_date", "id").first()
    if overdue is not None:
        request_write_off(
            invoice_id=overdue.pk, amount=open_amount(overdue), reason="No answer to three reminders", four_eyes=True,
            user=User.objects.get(username="finance"), now=story.now,
        )  # fmt: skip


def _let_one_ask(story: Story) -> None:
    """A customer opened the page of its invoice and asks about a line: the question waits for an answer."""
    lines = InvoiceLine.objects.filter(
        invoice__state="issued", invoice__as_of=story.current, invoice__currency="USD", kind="usage", corrects=None
    )
    line = lines.select_related("invoice").order_by("-amount", "id").first()
    if line is None:
        return
    link = make_link(invoice=line.invoice, user=User.objects.get(username="finance"), now=story.now)
    seen(link=link, now=story.now)
    question = "We count about a tenth less in our own logs. Could you look at the days in the middle of the month?"
    ask(link=link, line=line, name="Priya Raman", email="", question=question, now=story.now)


def _issued(story: Story, standing: Standing) -> QuerySet[Invoice]:
    """Issued invoices that bill something and stand so with their customers."""
    issued = Invoice.objects.filter(state="issued", kind="invoice", total__gt=0)
    return with_standing(issued, story.now.date()).filter(standing=standing)

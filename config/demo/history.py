"""The story, month by month: what was used, changed, paid, billed and booked, each through the service that does it.

Every step may be repeated: what is done already is found done, so a killed demo goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from django.contrib.auth.models import User
from django.db import connection

from billing.catalog.models import PlanVersion, Subscription
from billing.catalog.services import change_subscription
from billing.invoicing.models import Invoice
from billing.invoicing.review.approving import approve_ordinary
from billing.invoicing.services import approve, issue, run_billing
from billing.metering.models import ApiKey
from billing.metering.partitions import table_of
from billing.metering.rollups import services as rollups
from config import clock
from config.demo import company, money
from config.demo.inline import tasks_inline
from config.demo.people import CHANGES, Change, Person
from config.demo.progress import Progress
from config.demo.setup import CHEAPER_FROM, KEY_NAME
from config.demo.story import Story, note, once, told
from config.demo.usage import Usage, send
from customers.models import LegalEntity
from revenue.ledger.models import AccountingPeriod
from revenue.ledger.services import close_period, recognise

TO_REVIEW = 10


@dataclass
class History:
    """Tells a story whose set-up stands."""

    story: Story
    usage: Usage
    progress: Progress
    key: ApiKey = field(init=False)
    finance: User = field(init=False)
    revops: User = field(init=False)

    def __post_init__(self) -> None:
        self.key = ApiKey.objects.get(name=KEY_NAME)
        self.finance = User.objects.get(username="finance")
        self.revops = User.objects.get(username="revops")

    def tell(self) -> None:
        """Every month in turn, the one in progress up to the story's present."""
        for index in range(self.story.months + 1):
            step = f"month {index}"
            if told(step) is None:
                self._month(index)
                note(step)
                self.progress.advance("months")
            else:
                self.progress.skip("usage", self.usage.arriving(index))
                self.progress.skip("months")

    def _month(self, index: int) -> None:
        if told(f"billed {index}") is None:  # later a run would find the facts of the month that are there by then
            with clock.set_to(self.story.at(self.story.month(index))), tasks_inline():
                self._bill(index)
                self._close(index - 1)
            note(f"billed {index}")
        with self.progress.phase("usage"):
            for sent in send(self.usage, index, self.key):
                self.progress.advance("usage", sent)
            rollups.catch_up()
            analyse(self.story.month(index))
        self._make_changes(index)
        with self.progress.phase("payments"), clock.set_to(self._end(index)), tasks_inline():
            self.progress.done["payments"] += money.receive(self.story, index, self.finance)

    def _bill(self, index: int) -> None:
        """Draft what fell due by the month's first day; approve and issue it, the last time all but ten."""
        with self.progress.phase("invoices"):
            run = run_billing(as_of=self.story.month(index), now=clock.now(), user=self.finance)
            approve_ordinary(run_id=run.pk, now=clock.now())
            numbers = to_review(self.story, self.usage.people) if index == self.story.months else []
            drafts = Invoice.objects.filter(state="draft").exclude(contract__number__in=numbers)
            approve(invoice_ids=list(drafts.values_list("id", flat=True)), user=self.finance, now=clock.now())
            approved = Invoice.objects.filter(state="approved").order_by("id").values_list("id", flat=True)
            issue(invoice_ids=list(approved), user=self.finance, now=clock.now())

    def _close(self, index: int) -> None:
        """Post what was issued, recognise the month, and close it; the last complete one stays open for the user."""
        if index < 0:
            return
        with self.progress.phase("books"):
            month = self.story.month(index)
            if index == self.story.months - 1:
                recognise(through=month, now=clock.now())
                return
            # The day begins earlier in Tokyo than at the seller's: the first day can lie in the month before.
            closing = [month] if index else [self.story.month(-1), month]
            for entity in LegalEntity.objects.order_by("id"):
                for each in closing:
                    self._close_once(entity, each)

    def _close_once(self, entity: LegalEntity, month: date) -> None:
        """Recognise and close a month, unless a run before this one did."""
        if not AccountingPeriod.objects.filter(entity=entity, month=month, state="closed").exists():
            close_period(entity=entity, month=month, user=self.finance, now=clock.now(), recognise_first=True)

    def _end(self, index: int) -> datetime:
        """The last hours of a month, or the story's present."""
        return self.story.at(self.story.month(index + 1) - timedelta(days=1), 22)

    def _make_changes(self, index: int) -> None:
        """What customers changed, recorded in this month; and once, a cheaper version of a plan for all who have it."""
        if index == CHEAPER_FROM - 1:
            self._make_cheaper()
        names = {person.code for person in self.usage.people}
        for change in CHANGES:
            effective = self.story.month(change.month) + timedelta(days=change.day - 1)
            recorded = effective + timedelta(days=change.known)
            past = recorded < self.story.now.date()
            if change.code in names and self.story.index_of(recorded) == index and past:
                self._change(change, effective, recorded)

    def _change(self, change: Change, effective: date, recorded: date) -> None:
        with once(f"change {change.code} {effective}") as fresh:
            if fresh:
                subscription = Subscription.objects.get(contract__number=f"C-{change.code}", code="inference")
                change_subscription(
                    subscription=subscription, at=effective, now=self.story.at(recorded, 9),
                    version=_latest(change.plan) if change.plan else None,
                    quantity=None if change.seats is None else Decimal(change.seats),
                )  # fmt: skip

    def _make_cheaper(self) -> None:
        """Publish the second version of Scale ten days before a month, and have it bind everybody from then on."""
        effective = self.story.month(CHEAPER_FROM)
        now = self.story.at(effective - timedelta(days=10), 9)
        with once("scale v2") as fresh:
            if not fresh:
                return
            old = _latest("scale")
            version = company.cut_output_price(version=old, user=self.revops, now=now)
            bound = Subscription.objects.filter(intervals__version=old, intervals__superseded_at=None).distinct()
            for subscription in bound.select_related("contract").order_by("id"):
                start = max(effective, subscription.contract.start)
                change_subscription(subscription=subscription, at=start, version=version, now=now)


def analyse(month: date) -> None:
    """Let the planner know a month's events now: the server's own routine would come to it minutes later."""
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {table_of(f'{month:%Y-%m}')}, metering_subject, metering_type")


def to_review(story: Story, people: Sequence[Person]) -> list[str]:
    """The contracts whose last invoice is left for the user to review: every plan, currency and a change among them."""
    monthly = [each for each in people if each.cadence == "P1M" and each.begins[0] < story.months - 1]
    changed = {change.code for change in CHANGES if change.month == story.months - 1}
    first = [each.number for each in monthly if each.code in changed]
    others = [each.number for each in monthly if each.code not in changed]
    Random(story.seed).shuffle(others)  # noqa: S311
    return (first + others)[:TO_REVIEW]


def _latest(plan: str) -> PlanVersion:
    return PlanVersion.objects.filter(plan__code=plan, state="published").latest("number")

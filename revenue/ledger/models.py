"""The books: accounts, accounting periods, obligations with their schedules, and the journal."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q

from billing.invoicing.models import MONEY, InvoiceLine, Outbox, Slot
from customers.models import Contract, Customer, LegalEntity

KEPT = pgtrigger.Update | pgtrigger.Delete


class Account(models.Model):
    """An account of the chart (docs/books.md), with the side on which it grows."""

    class Kind(models.TextChoices):
        ASSET = "asset", "Asset"
        LIABILITY = "liability", "Liability"
        REVENUE = "revenue", "Revenue"
        CONTRA = "contra", "Contra revenue"
        EXPENSE = "expense", "Expense"

    code = models.CharField(max_length=10, unique=True)
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def debit_positive(self) -> bool:
        """Assets, contra revenue and expenses grow on the debit side; the others on the credit side."""
        return self.kind in (self.Kind.ASSET, self.Kind.CONTRA, self.Kind.EXPENSE)


class AccountingPeriod(models.Model):
    """A calendar month of a legal entity's books, cut in its time zone; nothing posts into it once it is closed."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="periods", verbose_name="legal entity")
    month = models.DateField(help_text="First day of the month.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-month", "entity"]
        permissions = [("close_accountingperiod", "Can close accounting periods")]
        constraints = [
            models.UniqueConstraint(name="period_once", fields=["entity", "month"]),
            models.CheckConstraint(name="period_first_day", condition=Q(month__day=1)),
            models.CheckConstraint(name="period_closed_at", condition=Q(state="open") ^ Q(closed_at__isnull=False)),
        ]
        triggers = [
            pgtrigger.FSM(name="period_moves", field="state", transitions=[("open", "closed")]),
            pgtrigger.Protect(name="period_kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.entity.code} {self.month:%Y-%m}"


class Obligation(models.Model):
    """A promise under ASC 606: a recurring fee's line (by day) or a slot of usage (as used)."""

    class Kind(models.TextChoices):
        SERIES_TIME = "series_time", "By day"
        USAGE = "usage", "As used"

    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="+", verbose_name="legal entity")
    contract = models.ForeignKey(Contract, models.PROTECT, related_name="obligations")
    kind = models.CharField(max_length=12, choices=Kind)
    line = models.OneToOneField(InvoiceLine, models.PROTECT, null=True, related_name="obligation")
    slot = models.OneToOneField(Slot, models.PROTECT, null=True, related_name="obligation")
    currency = models.CharField(max_length=3)
    price = models.DecimalField(**MONEY, null=True, help_text="Allocated price; usage has none in advance.")
    service_start = models.DateField(help_text="In the contract's time zone.")
    service_end = models.DateField(help_text="Exclusive.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="obligation_of_line_or_slot",
                condition=Q(kind="series_time", line__isnull=False, slot__isnull=True, price__isnull=False)
                | Q(kind="usage", line__isnull=True, slot__isnull=False, price__isnull=True),
            ),
        ]
        triggers = [pgtrigger.Protect(name="obligation_kept", operation=KEPT)]

    def __str__(self) -> str:
        return str(self.line or self.slot)


class ScheduleLine(models.Model):
    """The planned revenue of an obligation in one month. Derived: can be rebuilt from the obligation."""

    obligation = models.ForeignKey(Obligation, models.CASCADE, related_name="schedule")
    month = models.DateField()
    cumulative = models.DecimalField(**MONEY)
    amount = models.DecimalField(**MONEY)

    class Meta:
        ordering = ["obligation", "month"]
        constraints = [models.UniqueConstraint(name="schedule_once", fields=["obligation", "month"])]
        indexes = [models.Index(fields=["month"], name="schedule_month")]  # the waterfall

    def __str__(self) -> str:
        return f"{self.obligation}: {self.amount} in {self.month:%Y-%m}"


class JournalEntry(models.Model):
    """A balanced posting. Immutable; a correction is another entry."""

    class Event(models.TextChoices):
        INVOICE_ISSUED = "invoice_issued", "Invoice issued"
        PAYMENT = "payment", "Payment"
        BALANCE = "balance", "Customer balance"
        WRITE_OFF = "write_off", "Write-off"
        WRITE_OFF_REVERSED = "write_off_reversed", "Write-off reversed"
        SERVICE_DELIVERED = "service_delivered", "Service delivered"
        USAGE_RATED = "usage_rated", "Usage rated"

    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="entries", verbose_name="legal entity")
    number = models.PositiveIntegerField(help_text="Gapless in the legal entity.")
    period = models.ForeignKey(AccountingPeriod, models.PROTECT, related_name="entries")
    origin_month = models.DateField(help_text="The month that it concerns, where that was already closed.")
    date = models.DateField()
    event = models.CharField(max_length=20, choices=Event)
    source = models.CharField(max_length=100, unique=True, help_text="What made it; nothing is posted twice from it.")
    memo = models.CharField(max_length=200)
    line_count = models.PositiveIntegerField(help_text="How many lines it was posted with; none is added later.")
    reverses = models.OneToOneField("self", models.PROTECT, null=True, related_name="reversed_by")
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ["-date", "-id"]
        verbose_name_plural = "journal entries"
        constraints = [models.UniqueConstraint(name="entry_number", fields=["entity", "number"])]
        indexes = [models.Index(fields=["-date", "-id"], name="entry_by_date")]
        triggers = [
            pgtrigger.Protect(name="entry_kept", operation=KEPT),
            # FOR SHARE: a close that runs at the same time waits for this entry, or this entry sees it closed.
            pgtrigger.Trigger(
                name="entry_in_open_period",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("at", "revenue_accountingperiod")],
                func="""
                    SELECT * INTO at FROM revenue_accountingperiod WHERE id = NEW.period_id FOR SHARE;
                    IF at.state <> 'open' THEN
                        RAISE EXCEPTION 'the accounting period % is closed', to_char(at.month, 'YYYY-MM')
                            USING ERRCODE = 'check_violation';
                    END IF;
                    -- Months close in order: one that was first needed after a later one closed is no place either.
                    IF EXISTS (SELECT 1 FROM revenue_accountingperiod p WHERE p.entity_id = at.entity_id
                               AND p.state = 'closed' AND p.month > at.month) THEN
                        RAISE EXCEPTION 'a month after the accounting period % is closed', to_char(at.month, 'YYYY-MM')
                            USING ERRCODE = 'check_violation';
                    END IF;
                    IF at.entity_id <> NEW.entity_id OR date_trunc('month', NEW.date) <> at.month THEN
                        RAISE EXCEPTION 'entry and period do not match' USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
            # Deferred: the lines follow in the same transaction. An entry without lines says nothing and is refused.
            pgtrigger.Trigger(
                name="entry_whole",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func="""
                    IF NEW.line_count < 2 OR NEW.line_count <> (SELECT count(*) FROM revenue_journalline l
                                                                WHERE l.entry_id = NEW.id) THEN
                        RAISE EXCEPTION 'journal entry % lacks its lines', NEW.id USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity.code}-{self.number}"


class JournalLine(models.Model):
    """The debit or credit side of an entry, on one account."""

    entry = models.ForeignKey(JournalEntry, models.PROTECT, related_name="lines")
    account = models.ForeignKey(Account, models.PROTECT, related_name="lines")
    debit = models.DecimalField(**MONEY, default=0)
    credit = models.DecimalField(**MONEY, default=0)
    currency = models.CharField(max_length=3)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    contract = models.ForeignKey(Contract, models.PROTECT, null=True, related_name="+")
    obligation = models.ForeignKey(Obligation, models.PROTECT, null=True, related_name="journal_lines")

    class Meta:
        ordering = ["entry", "id"]
        constraints = [
            models.CheckConstraint(
                name="journalline_one_side",
                condition=Q(debit__gt=0, credit=0) | Q(debit=0, credit__gt=0),
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="journalline_kept", operation=KEPT),
            pgtrigger.Trigger(
                name="journal_balances",
                level=pgtrigger.Row,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func="""
                    IF EXISTS (SELECT 1 FROM revenue_journalline WHERE entry_id = NEW.entry_id
                               GROUP BY currency HAVING sum(debit) <> sum(credit)) THEN
                        RAISE EXCEPTION 'journal entry % does not balance', NEW.entry_id
                            USING ERRCODE = 'check_violation';
                    END IF;
                    -- A balanced pair added to a posted entry would change it, in a closed period too.
                    IF (SELECT e.line_count FROM revenue_journalentry e WHERE e.id = NEW.entry_id)
                       <> (SELECT count(*) FROM revenue_journalline l WHERE l.entry_id = NEW.entry_id) THEN
                        RAISE EXCEPTION 'journal entry % is posted: no line is added', NEW.entry_id
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.debit or -self.credit} {self.currency}"


class Recognition(models.Model):
    """What stands recognised of an obligation in a service month: target − posted = delta, by revisions."""

    obligation = models.ForeignKey(Obligation, models.PROTECT, related_name="recognitions")
    month = models.DateField(help_text="Service month, whenever it was posted.")
    revision = models.PositiveIntegerField()
    posted_before = models.DecimalField(**MONEY)
    target = models.DecimalField(**MONEY)
    amount = models.DecimalField(**MONEY)
    entry = models.ForeignKey(JournalEntry, models.PROTECT, related_name="recognitions")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="recognition_revision", fields=["obligation", "month", "revision"]),
            models.CheckConstraint(name="recognition_delta", condition=Q(amount=F("target") - F("posted_before"))),
        ]
        triggers = [
            pgtrigger.Protect(name="recognition_kept", operation=KEPT),
            pgtrigger.Trigger(
                name="recognition_chain",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("stands", "numeric"), ("last", "integer")],
                func="""
                    PERFORM 1 FROM revenue_obligation WHERE id = NEW.obligation_id FOR UPDATE;
                    SELECT r.revision, r.target INTO last, stands FROM revenue_recognition r
                        WHERE r.obligation_id = NEW.obligation_id AND r.month = NEW.month
                        ORDER BY r.revision DESC LIMIT 1;
                    IF NEW.revision <> coalesce(last, 0) + 1 OR NEW.posted_before <> coalesce(stands, 0) THEN
                        RAISE EXCEPTION 'obligation % moved on in %', NEW.obligation_id, NEW.month
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.obligation}: {self.amount} for {self.month:%Y-%m}"


class Posting(models.Model):
    """A document that the books have taken: its number is the posting position, at which the ties hold."""

    position = models.BigAutoField(primary_key=True)
    outbox = models.OneToOneField(Outbox, models.PROTECT, related_name="posting")
    entry = models.OneToOneField(
        JournalEntry,
        models.PROTECT,
        null=True,
        related_name="posting",
        help_text="Empty for a document of zero, which moves no account.",
    )
    posted_at = models.DateTimeField()

    class Meta:
        triggers = [pgtrigger.Protect(name="posting_kept", operation=KEPT)]

    def __str__(self) -> str:
        return f"position {self.position}"

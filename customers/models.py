"""Who sells to whom, and on what commercial terms."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeOperators
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Func, Q, Value

from customers import lookups  # noqa: F401  registers `among`
from customers.branding import Branding
from customers.checking import calendar_problems
from customers.facts import said_once
from customers.knowledge import Knowledge, remembered
from customers.marking import Touch, touching
from customers.states import CONTRACT_MOVES, ContractState
from customers.taxation.models import TaxSetup, TaxTreatment
from customers.validators import CURRENCY_PATTERN, validate_currency, validate_locale, validate_logo, validate_timezone

CODE = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "Use letters, digits, “.”, “_” and “-”, e.g. acme-gmbh.")
CADENCE = RegexValidator(
    r"^(P[1-9]\d*[DWMY]|dates)$",
    "Use an ISO 8601 cadence, e.g. P1M (monthly), P3M, P1Y, P2W or P10D, or “dates” and list them.",
)
TERM = RegexValidator(r"^P[1-9]\d{0,3}[DWMY]$", "Use an ISO 8601 duration, e.g. P1Y (a year), P6M or P90D.")

__all__ = [
    "Contract", "Customer", "Knowledge", "LegalEntity", "TaxSetup", "TaxTreatment", "Touch", "UsageSubject",
    "int_range",
]  # fmt: skip


def int_range(expression: str | F | Func) -> Func:
    """`int8range(x, x, '[]')`: lets an exclusion constraint compare integers without the extension btree_gist."""
    return Func(
        F(expression) if isinstance(expression, str) else expression,
        F(expression) if isinstance(expression, str) else expression,
        Value("[]"),
        function="int8range",
    )


class LegalEntity(Branding):
    """A seller: the company whose name, tax number and number series stand on the invoice."""

    class Negative(models.TextChoices):
        CREDIT_NOTE = "credit_note", "Credit note"
        NEXT_INVOICE = "next_invoice", "On the next invoice that outweighs them"

    code = models.CharField(max_length=40, unique=True, validators=[CODE])
    name = models.CharField(max_length=200)
    address = models.TextField(help_text="As printed on the invoice, one line each.")
    country = models.CharField(max_length=2, help_text="ISO 3166 code, e.g. DE.")
    tax_id = models.CharField("tax number", max_length=40, blank=True)
    email = models.EmailField(help_text="Where invoices come from and answers go to.")
    bank_details = models.TextField(blank=True, help_text="Printed at the foot of the invoice.")
    logo = models.ImageField(
        upload_to="logos",  # under a name of its own: what was printed once can be printed the same again
        blank=True,
        validators=[validate_logo],
        help_text="PNG or JPEG, printed at the head of the invoice.",
    )
    currency = models.CharField("functional currency", max_length=3, default="USD", validators=[validate_currency])
    timezone = models.CharField(
        "time zone", max_length=64, default="UTC", validators=[validate_timezone],
        help_text="Issue dates and accounting periods are cut here.",
    )  # fmt: skip
    invoice_prefix = models.CharField(max_length=20, default="INV-", help_text="Stands before the invoice number.")
    credit_note_prefix = models.CharField(
        max_length=24,
        blank=True,
        help_text="Stands before the number of a credit note. Empty: “CN-” before the prefix of invoices.",
    )
    negative = models.CharField(
        "negative totals", max_length=12, choices=Negative, default=Negative.CREDIT_NOTE,
        help_text="What becomes of credits that outweigh the charges of an invoice.",
    )  # fmt: skip
    four_eyes = models.BooleanField(
        "four eyes",
        default=False,
        help_text="Whoever prepared a draft (asked for its run, changed it) cannot approve it.",
    )
    send_after_days = models.PositiveSmallIntegerField(
        "sent by itself after", null=True, blank=True, validators=[MaxValueValidator(60)],
        help_text="Days from issue until the e-mail goes out; 0: at once. Empty: somebody sends it.",
    )  # fmt: skip

    class Meta:
        ordering = ["code"]
        verbose_name_plural = "legal entities"
        triggers = touching(
            "SELECT k.id FROM rows r JOIN customers_contract k ON k.entity_id = r.id",
            columns="id, negative", operations=("update",),
        )  # fmt: skip
        constraints = [
            models.CheckConstraint(name="entity_currency_code", condition=Q(currency__regex=CURRENCY_PATTERN)),
            models.UniqueConstraint(
                name="entity_credit_note_prefix",
                fields=["credit_note_prefix"],
                condition=~Q(credit_note_prefix=""),
                violation_error_message="Another legal entity numbers its credit notes so already.",
            ),
            models.UniqueConstraint(
                name="entity_invoice_prefix",
                fields=["invoice_prefix"],
                violation_error_message="Another legal entity numbers its invoices so already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def credit_prefix(self) -> str:
        """What stands before the number of a credit note."""
        return self.credit_note_prefix or f"CN-{self.invoice_prefix}"


class Customer(models.Model):
    """Who buys: the party that invoices are addressed to."""

    external_id = models.CharField(
        max_length=100,
        unique=True,
        validators=[CODE],
        help_text="Your own id of this customer, e.g. from the CRM.",
    )
    legal_name = models.CharField(max_length=200)
    emails = ArrayField(
        models.EmailField(),
        verbose_name="billing e-mails",
        default=list,
        blank=True,
        help_text="Invoices go to all of these; separate them by commas.",
    )
    copy_emails = ArrayField(
        models.EmailField(), verbose_name="copies to", default=list, blank=True,
        help_text="Get a copy of each invoice that is sent; everybody sees that they do.",
    )  # fmt: skip
    hidden_copy_emails = ArrayField(
        models.EmailField(), verbose_name="hidden copies to", default=list, blank=True,
        help_text="Get a copy of each invoice that is sent; nobody sees that they do.",
    )  # fmt: skip
    address_line1 = models.CharField("address", max_length=200, blank=True)
    address_line2 = models.CharField("address, second line", max_length=200, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    city = models.CharField(max_length=100, blank=True)
    region = models.CharField("state or region", max_length=100, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code, e.g. DE.")
    tax_id = models.CharField("tax number", max_length=40, blank=True)
    currency = models.CharField(max_length=3, default="USD", validators=[validate_currency])
    timezone = models.CharField("time zone", max_length=64, default="UTC", validators=[validate_timezone])
    locale = models.CharField(max_length=20, default="en-US", validators=[validate_locale])
    created_at = models.DateTimeField(auto_now_add=True, editable=False)

    class Meta:
        ordering = ["legal_name"]
        constraints = [
            models.CheckConstraint(name="customer_currency_code", condition=Q(currency__regex=CURRENCY_PATTERN)),
        ]

    def __str__(self) -> str:
        return self.legal_name


class UsageSubject(models.Model):
    """A dated claim: events that carry this subject count for this customer, retroactively."""

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="subjects")
    subject = models.CharField(max_length=1000, help_text="As events carry it, e.g. org_8213.")
    valid_from = models.DateTimeField(null=True, blank=True, help_text="Empty: since ever.")
    valid_to = models.DateTimeField(null=True, blank=True, help_text="Exclusive. Empty: for ever.")

    class Meta:
        ordering = ["subject", F("valid_from").asc(nulls_first=True)]
        verbose_name = "usage subject"
        indexes = [models.Index(fields=["subject"], name="usagesubject_subject")]  # queries.claims_on
        constraints = [
            ExclusionConstraint(
                name="usagesubject_one_customer",
                expressions=[
                    # Texts have no gist operator class without btree_gist: a 64-bit hash stands for the text.
                    (int_range(Func(F("subject"), Value(0), function="hashtextextended")), RangeOperators.OVERLAPS),
                    (Func("valid_from", "valid_to", function="tstzrange"), RangeOperators.OVERLAPS),
                ],
                violation_error_message="Another customer claims this subject at that time: end that claim first.",
            ),
            models.CheckConstraint(
                name="usagesubject_period",
                condition=Q(valid_from__isnull=True) | Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")),
                violation_error_message="A claim ends after it starts.",
            ),
        ]
        triggers = [
            remembered(),
            *touching("SELECT k.id FROM rows r JOIN customers_contract k ON k.customer_id = r.customer_id"),
        ]

    def __str__(self) -> str:
        return self.subject


class Contract(models.Model):
    """A commercial agreement: who sells to whom, for how long, in which currency, billed how often."""

    class Proration(models.TextChoices):
        DAY = "day", "By day"
        SECOND = "second", "By second"
        MONTH30 = "month30", "30 days a month"
        NONE = "none", "None"

    class StubDivisor(models.TextChoices):
        ALIGNED = "aligned", "The period around it"
        FROM_START = "from_start", "A period that starts with it"

    class Prices(models.TextChoices):
        EXCLUSIVE = "exclusive", "Without tax"
        INCLUSIVE = "inclusive", "With tax"

    class Renewal(models.TextChoices):
        NONE = "none", "Ends, unless renewed by hand"
        AUTOMATIC = "automatic", "Renews by itself"

    number = models.CharField(max_length=60, unique=True, validators=[CODE])
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="contracts")
    entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="contracts", verbose_name="legal entity")
    start = models.DateField(help_text="First day, in the contract's time zone.")
    end = models.DateField(null=True, blank=True, help_text="The day after the last one. Empty: open.")
    currency = models.CharField(max_length=3, validators=[validate_currency])
    cadence = models.CharField(
        max_length=10, default="P1M", validators=[CADENCE], help_text="ISO 8601: P1M is monthly. Or: dates."
    )
    anchor_day = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(31)],
        help_text="Day on which a billing period starts. Empty: the start's day.",
    )
    anchor_month = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(12)],
        help_text="For periods of several months: a month in which one starts, e.g. 4. Empty: the start's month.",
    )
    billing_dates = ArrayField(
        models.DateField(),
        default=list,
        blank=True,
        help_text="For the cadence “dates”: where periods end, separated by commas. Nothing is billed after the last.",
    )
    stub_divisor = models.CharField(
        "first part of a period",
        max_length=10,
        choices=StubDivisor,
        default=StubDivisor.ALIGNED,
        help_text="What a first period that is no whole one is a part of.",
    )
    timezone = models.CharField(
        "time zone",
        max_length=64,
        default="UTC",
        validators=[validate_timezone],
        help_text="Billing periods start at midnight here.",
    )
    proration = models.CharField(max_length=10, choices=Proration, default=Proration.DAY)
    net_days = models.PositiveSmallIntegerField("net days", default=30, help_text="Days from issue to due date.")
    po_number = models.CharField("PO number", max_length=60, blank=True)
    renewal = models.CharField("at its end", max_length=10, choices=Renewal, default=Renewal.NONE)
    renewal_term = models.CharField(
        "renews for", max_length=6, blank=True, validators=[TERM], help_text="ISO 8601: P1Y is a year."
    )
    notice_days = models.PositiveSmallIntegerField(
        "notice", default=0, help_text="Days before the end until which notice can be given; it renews then."
    )
    notice_on = models.DateField("notice given", null=True, blank=True, help_text="It ends, and does not renew.")
    uplift = models.DecimalField(
        "uplift in percent", max_digits=6, decimal_places=3, default=0, validators=[MinValueValidator(-100)],
        help_text="By how much prices rise with each renewal, e.g. 3.",
    )  # fmt: skip
    prices = models.CharField(
        max_length=10, choices=Prices, default=Prices.EXCLUSIVE, help_text="Whether they hold the tax."
    )
    invoice_group = models.CharField(
        max_length=60,
        blank=True,
        help_text="Contracts of one payer that have the same group share an invoice. Empty: with all that have none.",
    )
    state = models.CharField(max_length=10, choices=ContractState, default=ContractState.DRAFT, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, editable=False)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(name="contract_currency_code", condition=Q(currency__regex=CURRENCY_PATTERN)),
            models.CheckConstraint(
                name="contract_term",
                condition=Q(end__isnull=True) | Q(end__gte=F("start")),
                violation_error_message="A contract ends after it starts.",
            ),
            models.CheckConstraint(
                name="contract_renewal",
                condition=Q(renewal="none") | Q(end__isnull=False) & ~Q(renewal_term=""),
                violation_error_message="A contract that renews by itself has an end, and says for how long it renews.",
            ),
            models.CheckConstraint(
                name="contract_dates",
                condition=Q(cadence="dates", billing_dates__len__gt=0) | ~Q(cadence="dates") & Q(billing_dates=[]),
                violation_error_message="The cadence “dates” needs dates, and no other cadence takes any.",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="contract_moves", field="state", transitions=CONTRACT_MOVES),
            pgtrigger.Protect(
                name="contract_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.state <> 'draft' AND (OLD.number, OLD.customer_id, OLD.entity_id, OLD.start, OLD.currency,"
                    " OLD.cadence, OLD.anchor_day, OLD.anchor_month, OLD.stub_divisor, OLD.timezone, OLD.proration,"
                    " OLD.prices, OLD.billing_dates) IS DISTINCT FROM (NEW.number, NEW.customer_id, NEW.entity_id,"
                    " NEW.start, NEW.currency, NEW.cadence, NEW.anchor_day, NEW.anchor_month, NEW.stub_divisor,"
                    " NEW.timezone,"
                    # dates may be added after the last, and none taken away
                    " NEW.proration, NEW.prices, NEW.billing_dates[1:cardinality(OLD.billing_dates)])"
                ),
            ),
            pgtrigger.Protect(
                name="contract_kept", operation=pgtrigger.Delete, condition=pgtrigger.Condition("OLD.state <> 'draft'")
            ),
            remembered(),
            *touching("SELECT id FROM rows"),
        ]

    def __str__(self) -> str:
        return self.number

    def clean(self) -> None:
        """Refuse an anchor, dates or a renewal that does not go with the rest (R4.1)."""
        problems = calendar_problems(self)
        kept = (
            Contract.objects.filter(pk=self.pk).exclude(state=ContractState.DRAFT).values_list("billing_dates").first()
        )
        if kept and (self.billing_dates or [])[: len(kept[0])] != kept[0]:
            problems["billing_dates"] = "The contract is active: its dates stay. Add later ones after the last."
        if problems:
            raise ValidationError(problems)


class Payer(models.Model):
    """A dated fact: who pays for a customer's contracts, or for one of them, from a first day of service on.

    In force on a day is the last one of the contract, else the last one of the customer, else the customer itself. A
    correction of what was billed stays with whoever was billed (R5.3).
    """

    customer = models.ForeignKey(Customer, models.PROTECT, related_name="payers")
    contract = models.ForeignKey(
        Contract,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="payers",
        help_text="Empty: all contracts of the customer, those to come too.",
    )
    payer = models.ForeignKey(Customer, models.PROTECT, related_name="pays_for", verbose_name="paid by")
    start = models.DateField(
        "from", help_text="First day of service that it pays for, in the contract's time zone; a line goes by its own."
    )
    reason = models.CharField(max_length=500, blank=True)
    recorded_at = models.DateTimeField(editable=False)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["customer", "start", "id"]
        constraints = [
            models.UniqueConstraint(
                name="payer_of_customer", fields=["customer", "start"], condition=Q(contract=None, undone_at=None)
            ),
            models.UniqueConstraint(
                name="payer_of_contract", fields=["contract", "start"], condition=Q(undone_at=None)
            ),
        ]
        triggers = [
            remembered(),
            *touching(
                "SELECT k.id FROM rows r JOIN customers_contract k ON k.customer_id = r.customer_id"
                " AND (r.contract_id IS NULL OR r.contract_id = k.id)"
            ),
            *said_once("payer", stamp="undone_at", said=("customer_id", "contract_id", "payer_id", "start")),
        ]

    def __str__(self) -> str:
        return f"{self.payer} from {self.start}"

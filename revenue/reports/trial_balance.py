"""The trial balance: every account of a legal entity's books at a month's end, by currency.

Amounts carry the account's natural sign: assets, contra revenue and expenses grow by debits; liabilities and revenue by
credits. Months are posting months: what concerns a closed month stands where it was posted (R7.5). The closing of a
month is the opening of the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from customers.models import LegalEntity
from revenue.ledger.models import Account, AccountingPeriod, JournalLine
from revenue.ledger.periods import month_of
from revenue.reports.position import posting_position

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """An account in one currency: what it stood at before the month, the month's debits and credits, and what it is."""

    account: Account
    currency: str
    opening: Decimal
    debits: Decimal
    credits: Decimal

    @property
    def closing(self) -> Decimal:
        """Opening and the month's movements, in the account's natural sign."""
        moved = self.debits - self.credits
        return self.opening + (moved if self.account.debit_positive else -moved)


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """The accounts that ever moved, in the order of the chart, at the end of `month` and at a posting position."""

    entity: LegalEntity
    month: date
    state: str
    position: int
    rows: tuple[AccountBalance, ...]

    def difference(self, currency: str) -> Decimal:
        """Σ of debit balances less Σ of credit balances in a currency; zero when the books balance."""
        rows = [row for row in self.rows if row.currency == currency]
        return _total(rows, debit=True) - _total(rows, debit=False)

    @property
    def currencies(self) -> list[str]:
        """The currencies that the books move in, in order."""
        return sorted({row.currency for row in self.rows})


def trial_balance(*, entity: LegalEntity, month: date) -> TrialBalance:
    """The trial balance of an entity at the end of the month that contains the day `month`."""
    month = month_of(month)
    before, within = Q(entry__period__month__lt=month), Q(entry__period__month=month)
    sums = (
        JournalLine.objects.filter(entry__entity=entity, entry__period__month__lte=month)
        .values("account", "currency")
        .annotate(
            before=Coalesce(Sum(F("debit") - F("credit"), filter=before), ZERO),
            debits=Coalesce(Sum("debit", filter=within), ZERO),
            credits=Coalesce(Sum("credit", filter=within), ZERO),
        )
        .order_by("account__code", "currency")
    )
    accounts = Account.objects.in_bulk()
    rows = []
    for each in sums:
        account = accounts[each["account"]]
        opening = each["before"] if account.debit_positive else -each["before"]
        rows.append(AccountBalance(account, each["currency"], opening, each["debits"], each["credits"]))
    period = AccountingPeriod.objects.filter(entity=entity, month=month).first()
    state = period.state if period else AccountingPeriod.State.OPEN
    return TrialBalance(entity, month, str(state), posting_position(), tuple(rows))


def _total(rows: Iterable[AccountBalance], *, debit: bool) -> Decimal:
    """Σ closing of the accounts that grow on one side."""
    return sum((row.closing for row in rows if row.account.debit_positive is debit), ZERO)

"""The chart of accounts (docs/books.md): code, name and kind of each account, and the names that postings use.

Pure: no Django. The kinds are those of `Account.Kind`; they say on which side an account grows.
"""

from typing import Final

CASH: Final = "1000"
RECEIVABLE: Final = "1100"
UNBILLED: Final = "1150"
DEFERRED: Final = "2100"
CUSTOMER_BALANCE: Final = "2160"
TAX: Final = "2200"
SUBSCRIPTION_REVENUE: Final = "4000"
USAGE_REVENUE: Final = "4010"
BAD_DEBT: Final = "6100"
OTHER_LOSSES: Final = "7200"

CHART: Final[tuple[tuple[str, str, str], ...]] = (
    (CASH, "Cash", "asset"),
    (RECEIVABLE, "Accounts receivable", "asset"),
    (UNBILLED, "Unbilled receivable", "asset"),
    ("1160", "Contract asset", "asset"),
    ("1190", "Allowance for credit losses", "asset"),
    (DEFERRED, "Deferred revenue", "liability"),
    ("2110", "Customer credits", "liability"),
    ("2150", "Refund liability", "liability"),
    (CUSTOMER_BALANCE, "Customer balance", "liability"),
    ("2170", "Unclaimed property", "liability"),
    (TAX, "Tax payable", "liability"),
    (SUBSCRIPTION_REVENUE, "Subscription revenue", "revenue"),
    (USAGE_REVENUE, "Usage revenue", "revenue"),
    ("4020", "Overage", "revenue"),
    ("4030", "Services", "revenue"),
    ("4040", "Breakage", "revenue"),
    ("4900", "Credit notes", "contra"),
    ("4910", "Refunds", "contra"),
    ("4920", "Discounts", "contra"),
    ("4930", "Disputes", "contra"),
    (BAD_DEBT, "Bad debt", "expense"),
    ("6200", "Payment fees", "expense"),
    ("7100", "FX gain or loss, realised", "expense"),
    ("7110", "FX gain or loss, unrealised", "expense"),
    (OTHER_LOSSES, "Other losses and recoverables", "expense"),
)

"""The look of the back office (django-unfold): its name, colours and sidebar, each entry for those who may see it."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def allowed(*permissions: str) -> Callable[[HttpRequest], bool]:
    """Whether the request's user holds any of these permissions."""
    return lambda request: any(request.user.has_perm(permission) for permission in permissions)


def entry(title: str, icon: str, model: str) -> dict[str, Any]:
    """A line of the sidebar that leads to a model's list (“billing_invoice”), for those who may view it."""
    app, name = ("django_q", model[9:]) if model.startswith("django_q_") else model.split("_", 1)
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model}_changelist"),
        "permission": allowed(f"{app}.view_{name}"),
    }


def page(title: str, icon: str, name: str, *permissions: str) -> dict[str, Any]:
    """A line of the sidebar that leads to a page of its own."""
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": allowed(*permissions)}


def at_usage(request: HttpRequest) -> bool:
    """The explorer and the events behind it; live events and the search have lines of their own."""
    here = str(reverse_lazy("admin:billing_usage"))
    return request.path.startswith(here) and not request.path.startswith((f"{here}live/", f"{here}find/"))


def environment(request: HttpRequest) -> list[str] | None:
    """A label at the top of every page, so that nobody mistakes a try-out for the books."""
    return None if settings.PRODUCTION else ["Not production", "warning"]


def at_meters(request: HttpRequest) -> bool:
    """The pages of usage hang on the meters' address, and are not meters."""
    here = str(reverse_lazy("admin:billing_meter_changelist"))
    return request.path.startswith(here) and not request.path.startswith((f"{here}usage/", f"{here}unmatched/"))


def at_invoices(request: HttpRequest) -> bool:
    """The page of late usage hangs on the invoices' address, and is no invoice."""
    here = str(reverse_lazy("admin:billing_invoice_changelist"))
    return request.path.startswith(here) and not request.path.startswith(f"{here}late/")


def at_months(request: HttpRequest) -> bool:
    """The page of ingest hangs on the months' address, and is not a month."""
    here = str(reverse_lazy("admin:billing_eventmonth_changelist"))
    return request.path.startswith(here) and not request.path.startswith(f"{here}health/")


NAVIGATION: list[dict[str, Any]] = [
    {"items": [{"title": "Home", "icon": "home", "link": reverse_lazy("admin:index")}]},
    {
        "title": "RevOps",
        "separator": True,
        "items": [
            entry("Customers", "groups", "customers_customer"),
            entry("Contracts", "contract", "customers_contract"),
            entry("Subscriptions", "tune", "billing_subscription"),
            entry("Agreements", "handshake", "billing_contractterm"),
            entry("Coupons", "loyalty", "billing_coupon"),
            entry("Plans", "sell", "billing_plan"),
            entry("Products", "inventory_2", "billing_product"),
            entry("Price lab", "science", "billing_pricetrial"),
            entry("Experiments", "call_split", "billing_experiment"),
            entry("Custom units", "toll", "billing_customunit"),
            entry("Moves of subscribers", "move_up", "billing_move"),
            entry("Meters", "speed", "billing_meter") | {"active": at_meters},
        ],
    },
    {
        "title": "Usage",
        "separator": True,
        "items": [
            page("Usage explorer", "monitoring", "billing_usage", "billing.view_meter") | {"active": at_usage},
            page("Unmatched and invalid", "help_center", "billing_unmatched", "billing.view_meter"),
            entry("Corrections", "ink_eraser", "billing_correction"),
            entry("Uploads", "upload_file", "billing_upload"),
            entry("Backfills", "layers", "billing_backfill"),
            entry("Usage alerts", "notifications", "billing_usagealert"),
        ],
    },
    {
        "title": "Finance",
        "separator": True,
        "items": [
            entry("Billing runs", "play_circle", "billing_billingrun"),
            entry("Holds", "front_hand", "billing_hold"),
            entry("Usage tolerances", "tune", "billing_usagetolerance"),
            entry("Verifications", "verified", "billing_verification"),
            entry("Review", "fact_check", "billing_assessment"),
            entry("Invoices", "receipt_long", "billing_invoice") | {"active": at_invoices},
            entry("Bulk actions", "library_add_check", "billing_bulkaction"),
            entry("E-mails", "mail", "billing_delivery"),
            entry("Disputes", "contact_support", "billing_dispute"),
            entry("Customer links", "link", "billing_hostedlink"),
            entry("Letters", "edit_note", "billing_mailtemplate"),
            page("Late usage", "history", "billing_late_usage", "billing.view_invoice"),
            entry("Invoicing policies", "rule_settings", "billing_invoicingpolicy"),
            entry("Approval policies", "verified_user", "billing_approvalpolicy"),
            entry("Payments", "payments", "billing_payment"),
            entry("Customer balances", "account_balance_wallet", "billing_balanceaccount"),
            entry("Write-offs", "money_off", "billing_writeoff"),
            entry("Journal", "menu_book", "revenue_journalentry"),
            entry("Revenue schedules", "event_repeat", "revenue_obligation"),
            entry("Accounting periods", "calendar_month", "revenue_accountingperiod"),
            entry("Chart of accounts", "account_tree", "revenue_account"),
            entry("Tax rates", "percent", "billing_taxrate"),
            entry("Tax codes of products", "label", "billing_producttax"),
            entry("Legal entities", "apartment", "customers_legalentity"),
        ],
    },
    {
        "title": "Engineering",
        "separator": True,
        "items": [
            page("Live events", "stream", "billing_usage_live", "billing.view_event"),
            page("Find an event", "search", "billing_event_search", "billing.view_event"),
            entry("API keys", "key", "billing_apikey"),
            page("Ingest health", "monitor_heart", "billing_ingest_health", "billing.view_eventbatch"),
            entry("Months of events", "inventory", "billing_eventmonth") | {"active": at_months},
            entry("Pull sources", "cloud_download", "billing_pullsource"),
            entry("Conflicts", "call_split", "billing_eventconflict"),
            entry("Rejections", "block", "billing_eventreject"),
            entry("Queued tasks", "pending_actions", "django_q_ormq"),
            entry("Failed tasks", "error", "django_q_failure"),
            entry("Schedules", "schedule", "django_q_schedule"),
        ],
    },
    {
        "title": "People",
        "separator": True,
        "items": [entry("Users", "person", "auth_user"), entry("Roles", "shield_person", "auth_group")],
    },
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar without groups in which the user may see nothing."""
    return [
        group for group in NAVIGATION if any(item.get("permission", lambda _: True)(request) for item in group["items"])
    ]


def _view(title: str, query: str) -> dict[str, Any]:
    """A saved view of the invoice list."""
    return {
        "title": title,
        "link": lambda request: f"{reverse_lazy('admin:billing_invoice_changelist')}{query}",
        "permission": allowed("billing.view_invoice"),
        "active": lambda request: request.GET.urlencode() == query.lstrip("?"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Meterbook",
    "SITE_HEADER": "Meterbook",
    "SITE_SUBHEADER": "From usage to ledger",
    "SITE_URL": None,
    "SITE_ICON": lambda request: static("favicon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("favicon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": "config.unfold.environment",
    "DASHBOARD_CALLBACK": "config.dashboard.home",
    "STYLES": [lambda request: static("admin/meterbook.css")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 197)",
            "100": "oklch(94.2% .031 196)",
            "200": "oklch(88.9% .056 196)",
            "300": "oklch(80.6% .082 197)",
            "400": "oklch(70.8% .094 199)",
            "500": "oklch(60.4% .092 201)",
            "600": "oklch(50.2% .083 203)",
            "700": "oklch(43.4% .071 205)",
            "800": "oklch(37.6% .059 207)",
            "900": "oklch(32.6% .048 209)",
            "950": "oklch(23.7% .037 212)",
        },
    },
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": navigation},
    "COMMAND": {
        "search_models": ["customers.customer", "customers.contract", "billing.invoice", "billing.plan"],
    },
    "TABS": [
        {
            "models": ["billing.invoice"],
            "items": [
                _view("All", ""),
                _view("To review", "?state__exact=draft"),
                _view("Approved", "?state__exact=approved"),
                _view("Open", "?standing=open"),
                _view("Overdue", "?standing=overdue"),
                _view("Paid", "?standing=paid"),
                _view("Open credits", "?standing=credit"),
            ],
        }
    ],
}

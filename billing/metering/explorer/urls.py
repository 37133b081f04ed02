"""Addresses of the pages of usage, below those of the meters."""

from typing import Any

from django.urls import path

from billing.metering.explorer.customer_page import customer_usage
from billing.metering.explorer.event_page import event
from billing.metering.explorer.events_page import events_list, search
from billing.metering.explorer.explorer_page import explorer
from billing.metering.explorer.inbox_page import unmatched
from billing.metering.explorer.tail_page import live, live_events


def pages(model_admin: Any) -> list[Any]:
    """The pages, each for those who are signed in; they check further what each may see."""
    here, view = {"model_admin": model_admin}, model_admin.admin_site.admin_view
    return [
        path("usage/", view(explorer), here, name="billing_usage"),
        path("usage/<int:customer_id>/", view(customer_usage), here, name="billing_customer_usage"),
        path("usage/events/", view(events_list), here, name="billing_usage_events"),
        path("usage/event/", view(event), here, name="billing_event"),
        path("usage/find/", view(search), here, name="billing_event_search"),
        path("usage/live/", view(live), here, name="billing_usage_live"),
        path("usage/live/events/", view(live_events), name="billing_usage_live_events"),
        path("unmatched/", view(unmatched), here, name="billing_unmatched"),
    ]

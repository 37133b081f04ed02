"""“Agreements” on the page of a contract, and “Apply a coupon” on that of a customer, which know nothing of them."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action

from customers.backoffice import granted
from customers.models import Contract, Customer


class AgreementsButton:
    """To the contract's agreements."""

    has_agreed_permission = granted("customers.view_contract")

    @action(description="Agreements", icon="handshake", permissions=["agreed"])
    def open_agreed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Spending, discounts and coupons of the contract as a whole."""
        return HttpResponseRedirect(reverse("admin:billing_agreed", args=[unquote(object_id)]))


class CouponButton:
    """To the form that applies a coupon."""

    has_coupon_permission = granted("billing.add_subscription")

    @action(description="Apply a coupon", icon="loyalty", permissions=["coupon"])
    def apply_coupon(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What it would take off the next bill, and then it stands."""
        return HttpResponseRedirect(reverse("admin:billing_coupon_apply", args=[unquote(object_id)]))


def add_button(model: type[Model], button: type, name: str) -> None:
    """Register a model's page again, with the button."""
    page: Any = type(admin.site.get_model_admin(model))
    admin.site.unregister(model)
    steps = (*page.actions_detail, name)
    admin.site.register(model, type(page.__name__, (button, page), {"actions_detail": steps, "__doc__": page.__doc__}))


add_button(Contract, AgreementsButton, "open_agreed")
add_button(Customer, CouponButton, "apply_coupon")

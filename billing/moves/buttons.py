"""“Move subscribers” on the pages of plans and of published versions, which the catalog registers without it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action

from billing.catalog.models import Plan, PlanVersion
from billing.catalog.states import VersionState
from customers.backoffice import granted

MAY_MOVE = "billing.move_subscribers"


class MoveButton:
    """The button, where there is a published version to move to."""

    asks = "plan"
    has_move_permission = granted(MAY_MOVE)

    def get_actions_detail(self: Any, request: HttpRequest, object_id: Any) -> list[Any]:
        """As before, and ours."""
        steps = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        steps = [step for step in steps if step.path != "move_subscribers"]
        mine = [self.get_unfold_action("move_subscribers")] if self.takes(unquote(str(object_id))) else []
        return [*steps, *self._filter_unfold_actions_by_permissions(request, mine, object_id)]

    def takes(self, object_id: str) -> bool:
        """Whether customers can be moved here."""
        return PlanVersion.objects.filter(plan_id=object_id, state=VersionState.PUBLISHED).exists()

    @action(description="Move subscribers", icon="move_up", permissions=["move"])
    def move_subscribers(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """To the form that says who and when."""
        return HttpResponseRedirect(f"{reverse('admin:billing_move_add')}?{self.asks}={unquote(object_id)}")


class VersionButton(MoveButton):
    """On the page of a version."""

    asks = "version"

    def takes(self, object_id: str) -> bool:
        """Whether this very version takes subscribers."""
        return PlanVersion.objects.filter(pk=object_id, state=VersionState.PUBLISHED).exists()


def add_button(model: type[Model], button: type[MoveButton]) -> None:
    """Register a model's page again, with the button."""
    page = type(admin.site.get_model_admin(model))
    admin.site.unregister(model)
    steps = (*page.actions_detail, "move_subscribers")  # type: ignore[attr-defined]
    admin.site.register(model, type(page.__name__, (button, page), {"actions_detail": steps, "__doc__": page.__doc__}))


add_button(Plan, MoveButton)
add_button(PlanVersion, VersionButton)

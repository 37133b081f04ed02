"""What can be done with a plan version, by its state: buttons that ask, call one verb, and say how it went."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from billing.catalog import publication, services
from billing.catalog.errors import CatalogError
from billing.catalog.forms import NewVersionForm
from billing.catalog.models import PlanVersion
from billing.catalog.pages.exporting import download
from billing.catalog.pages.forms import PublishForm, ScheduleForm
from billing.catalog.states import VersionState, can_move
from config import clock
from customers.backoffice import OfficeAdmin, change_url, granted, leave_dialog

Verb = Callable[[PlanVersion], PlanVersion]


class VersionButtons(OfficeAdmin):
    """The buttons of a version's page."""

    actions_detail = ("publish", "schedule", "cancel_schedule", "new_from_this", "changes", "download", "retire")
    has_publish_permission = granted("billing.publish_planversion")
    has_version_permission = granted("billing.add_planversion")
    has_read_permission = granted("billing.view_planversion")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Those that the version's state allows."""
        version = self.get_object(request, unquote(str(object_id)))
        wanted = _possible(version) if version else set()
        return [step for step in super().get_actions_detail(request, object_id) if step.path in wanted]

    def get_urls(self) -> list[Any]:
        """With the file of a version."""
        view = self.admin_site.admin_view(download)
        return [path("<int:pk>/plan.json", view, name="billing_planversion_json"), *super().get_urls()]

    def _do(self, request: HttpRequest, object_id: str, verb: Verb, done: str, said: str) -> HttpResponse:
        """Call a verb on the version, and say what came of it, there and in its history."""
        version = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                version = verb(version)
        except CatalogError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, version, done)
            messages.success(request, f"{version} {said}")
        return leave_dialog(change_url(version))

    @action(
        description="Publish",
        icon="publish",
        variant=ActionVariant.PRIMARY,
        permissions=["publish"],
        dialog={
            "title": "Publish this version?",
            "description": "From then on customers can be subscribed to it, and its charges and prices never change.",
            "form_class": PublishForm,
            "form_submit_text": "Publish",
        },
    )
    def publish(self, request: HttpRequest, form: PublishForm, object_id: str) -> HttpResponse:
        """Freeze the draft, or say what is missing."""
        reason = form.cleaned_data.get("reason", "")
        return self._do(
            request, object_id,
            lambda version: services.publish(version=version, user=request.user, now=clock.now(), reason=reason),
            "Published.", "is published: contracts can be subscribed to it.",
        )  # fmt: skip

    @action(
        description="Publish later",
        icon="schedule",
        permissions=["publish"],
        dialog={
            "title": "Publish at a chosen time",
            "description": "It is checked now and again when it is due. Until then it stays a draft.",
            "form_class": ScheduleForm,
            "form_submit_text": "Publish at that time",
        },
    )
    def schedule(self, request: HttpRequest, form: ScheduleForm, object_id: str) -> HttpResponse:
        """Let the draft be published by itself."""
        given = form.cleaned_data
        reason, zone = given.get("reason", ""), given["zone"]
        return self._do(
            request, object_id,
            lambda version: publication.schedule(
                version=version, at=form.at(), zone=zone, user=request.user, now=clock.now(), reason=reason
            ),
            f"To be published on {given['day']} at {given['time']:%H:%M} ({zone}).",
            f"is published on {given['day']} at {given['time']:%H:%M} ({zone}), unless you cancel it before.",
        )  # fmt: skip

    @action(
        description="Do not publish then",
        icon="event_busy",
        permissions=["publish"],
        dialog={
            "title": "Cancel the planned publication?",
            "description": "The version stays a draft.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Cancel the publication",
        },
    )
    def cancel_schedule(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Take the planned publication back."""
        return self._do(
            request, object_id, lambda version: publication.cancel(version=version),
            "Planned publication cancelled.", "stays a draft: it is not published by itself any more.",
        )  # fmt: skip

    @action(
        description="Retire",
        icon="do_not_disturb_on",
        permissions=["publish"],
        dialog={
            "title": "Retire this version?",
            "description": "Nobody can be subscribed to it any more. Customers who are on it stay, and pay as agreed.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Retire",
        },
    )
    def retire(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        """Offer it to nobody new."""
        return self._do(
            request, object_id,
            lambda version: publication.retire(version=version, user=request.user, now=clock.now()),
            "Retired.", "is retired: nobody new can be subscribed to it.",
        )  # fmt: skip

    @action(
        description="New version from this",
        icon="content_copy",
        permissions=["version"],
        dialog={
            "title": "New version from this",
            "description": "A draft with the same charges, to be edited and published.",
            "form_class": NewVersionForm,
            "form_submit_text": "Make a draft",
        },
    )
    def new_from_this(self, request: HttpRequest, form: NewVersionForm, object_id: str) -> HttpResponse:
        """A draft that starts as a copy."""
        version = self.get_object(request, unquote(object_id))
        try:
            with transaction.atomic():
                made = services.new_version(plan=version.plan, note=form.cleaned_data["note"], copy_of=version)
        except CatalogError as error:
            messages.error(request, str(error))
            return leave_dialog(change_url(version))
        return leave_dialog(change_url(made))

    @action(description="What changed", icon="compare_arrows", permissions=["read"])
    def changes(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Compared with the version before it."""
        version = self.get_object(request, unquote(object_id))
        before = version.plan.versions.filter(number__lt=version.number).order_by("-number").first()
        query = f"?old={before.pk if before else ''}&new={version.pk}"
        return HttpResponseRedirect(reverse("admin:billing_plan_compare") + query)

    @action(description="Download", icon="download", permissions=["read"])
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The version as a file."""
        return HttpResponseRedirect(reverse("admin:billing_planversion_json", args=[unquote(object_id)]))


def _possible(version: PlanVersion) -> set[str]:
    """The buttons that a version's state allows, from the one table of moves."""
    found = {"changes", "download"}
    if can_move(version.state, VersionState.PUBLISHED):
        found |= {"publish", "cancel_schedule" if version.publish_at else "schedule"}
    else:
        found.add("new_from_this")
    return found | ({"retire"} if can_move(version.state, VersionState.RETIRED) else set())

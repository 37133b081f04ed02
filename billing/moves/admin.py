"""Pages of moves: choose who and when, look at the effect, schedule, and take back what has not taken effect."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from billing.catalog.models import PlanVersion
from billing.catalog.states import VersionState
from billing.moves import files, queries, services, tasks
from billing.moves.buttons import MAY_MOVE
from billing.moves.criteria import Criteria, when_in_words
from billing.moves.errors import CriteriaError, MoveError
from billing.moves.forms import MoveForm
from billing.moves.models import Move
from billing.moves.page import context_of, row_context
from config import clock
from customers.backoffice import RecordAdmin, badge, change_url, list_url, quantity_text

BADGES = {"Draft": "warning", "Scheduled": "info", "In effect": "success"}


class StandingFilter(DropdownFilter):
    """Draft, scheduled, in effect, cancelled."""

    title = "state"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The four."""
        return list(queries.STANDINGS.items())

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Those that stand so now."""
        wanted = self.value()
        return queryset.filter(queries.standing_filter(wanted, clock.now())) if wanted else queryset


@admin.register(Move)
class MoveAdmin(RecordAdmin):
    """Moves of subscribers to another version."""

    list_display = ("name", "standing", "when", "first_day", "total_count", "reason", "created_by", "created_at")
    list_filter = (StandingFilter,)
    list_select_related = ("target__plan", "created_by")
    search_fields = ("target__plan__name", "reason")
    empty_hint = "Open a published plan version and press “Move subscribers”."
    needs = (PlanVersion,)

    def get_urls(self) -> list[Any]:
        """With the steps of a move."""
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/step/", view(self.step_view), name="billing_move_step"),
            path("<int:pk>/file/", view(self.file_view), name="billing_move_file"),
            path("<int:pk>/rows/<int:row>/", view(self.row_view), name="billing_move_row"),
        ]
        return own + super().get_urls()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who may move subscribers."""
        return bool(request.user.has_perm(MAY_MOVE))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Say who moves to which version, and when; a draft shows what that would change."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        open_ = PlanVersion.objects.filter(state=VersionState.PUBLISHED).select_related("plan__product")
        wanted = request.GET.get("version", "")
        target = open_.filter(pk=wanted).first() if wanted.isdecimal() else None
        if target is None:
            found = open_.order_by("plan", "-number")
            plan = request.GET.get("plan", "")
            context = {
                "title": "Move subscribers",
                "versions": found.filter(plan_id=plan) if plan.isdecimal() else found,
            }
            return self._page(request, "move_target.html", context)
        form = MoveForm(target, clock.now(), request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                move = services.draft(
                    token=form.cleaned_data["token"], target=target, criteria=form.criteria, user=request.user,
                    queue=tasks.queue, now=clock.now(),
                )  # fmt: skip
            except CriteriaError as error:
                form.refuse(error)
            except MoveError as error:
                form.add_error(None, str(error))
            else:
                return HttpResponseRedirect(change_url(move))
        given: dict[str, Any] = {"form": form, "target": target, "back": change_url(target)}
        return self._page(request, "move_new.html", given | {"title": f"Move subscribers to {target}"})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """How the move stands, whom it concerns and what it changes."""
        move = self._move(request, object_id)
        context = context_of(move, request.GET, clock.now())
        stands = queries.STANDINGS[queries.standing(move, clock.now())]
        own = {"title": str(move), "original": move, "state": badge(stands, BADGES)}
        return self._page(request, "move.html", context | own | {"may": self.has_add_permission(request)})

    def row_view(self, request: HttpRequest, pk: int, row: int) -> HttpResponse:
        """One customer: old and new terms, and the effect by cycle and charge."""
        move = self._move(request, str(pk))
        found = get_object_or_404(queries.rows_of(move).select_related("move__target__plan"), pk=row)
        if request.method == "POST":
            self._check_may(request)
            try:
                note = services.cancel_one(row=found, user=request.user, now=clock.now())
            except MoveError as error:
                messages.error(request, str(error))
            else:
                self.log_change(request, move, f"{found.subscription} taken back.")
                messages.success(request, f"{found.subscription} is out of this move. {note}")
            return HttpResponseRedirect(request.path)
        context = row_context(move, found, clock.now())
        own = {"title": str(found.subscription), "original": move, "may": self.has_add_permission(request)}
        return self._page(request, "move_row.html", context | own)

    def file_view(self, request: HttpRequest, pk: int) -> StreamingHttpResponse:
        """All subscriptions of the move as CSV."""
        move = self._move(request, str(pk))
        response = StreamingHttpResponse(files.lines(move), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="move-{move.pk}.csv"'
        return response

    def step_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Schedule, cancel, compute again, go on or discard, as the button says."""
        move = self._move(request, str(pk))
        self._check_may(request)
        try:
            if "discard" in request.POST:
                services.discard(move=move)
                messages.success(request, "The draft is discarded; nobody was moved.")
                return HttpResponseRedirect(list_url(Move))
            done = self._step(request, move)
        except MoveError as error:
            messages.error(request, str(error))
        else:
            if done:
                self.log_change(request, move, done)
        return HttpResponseRedirect(change_url(move))

    def _step(self, request: HttpRequest, move: Move) -> str:
        """Do what the button says; how the history tells it, "" for nothing new."""
        given: dict[str, Any] = {"move": move, "queue": tasks.queue, "now": clock.now()}
        decided = given | {"reason": request.POST.get("reason", ""), "user": request.user}
        if "schedule" in request.POST:
            return "Scheduled." if services.schedule(**decided) else ""
        if "cancel" in request.POST:
            return "Cancelled." if services.cancel(**decided) else ""
        if "again" in request.POST:
            services.compute_again(**given)
            return "Computed again."
        services.go_on(**given)
        return ""

    def _move(self, request: HttpRequest, object_id: str) -> Move:
        related = Move.objects.select_related("target__plan__product", "created_by", "scheduled_by", "cancelled_by")
        move = get_object_or_404(related, pk=object_id)
        if not self.has_view_permission(request, move):
            raise PermissionDenied
        return move

    def _check_may(self, request: HttpRequest) -> None:
        if request.method != "POST" or not self.has_add_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"billing/admin/{template}", common | context)

    @display(description="Move", ordering="id")
    def name(self, move: Move) -> str:
        """Its number and where to."""
        return str(move)

    @display(description="State")
    def standing(self, move: Move) -> str:
        """How it stands today."""
        return badge(queries.STANDINGS[queries.standing(move, clock.now())], BADGES)

    @display(description="When")
    def when(self, move: Move) -> str:
        """As it was chosen."""
        return when_in_words(Criteria.from_json(move.choice).when)

    @display(description="First day", ordering="first_at")
    def first_day(self, move: Move) -> str:
        """The first of its dates that stand."""
        return f"{move.first_at:%Y-%m-%d}" if move.first_at else "-"

    @display(description="Subscriptions", ordering="total")
    def total_count(self, move: Move) -> str:
        """How many it was about."""
        return quantity_text(move.total)

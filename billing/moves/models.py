"""Moves of subscribers to a version of a plan: who, when, what it would change, and what came of each."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Abs

from billing.catalog.models import PlanVersion, Subscription
from billing.moves.states import MOVE_MOVES, OUTCOME_MOVES, MoveState, Outcome, Work


class Move(models.Model):
    """A decision to bind many subscriptions to a plan version, each from a day of its own on.

    `choice` is who was meant, as `criteria.Criteria` writes it; it never changes. `work` is what the worker still has
    to do, and `position` how far it is: whoever goes on starts there.
    """

    token = models.UUIDField(unique=True, editable=False, help_text="Of the form that asked: it makes one move.")
    target = models.ForeignKey(PlanVersion, models.PROTECT, related_name="moves", verbose_name="to")
    choice = models.JSONField(editable=False)
    as_of = models.DateTimeField(help_text="What “next” and “now” mean in the choice.")
    state = models.CharField(max_length=10, choices=MoveState, default=MoveState.DRAFT, editable=False)
    work = models.CharField(max_length=10, choices=Work, default=Work.PREVIEW, blank=True, editable=False)
    position = models.BigIntegerField(default=0, editable=False)
    total = models.IntegerField(default=0, editable=False, help_text="Subscriptions that the work is about.")
    done = models.IntegerField(default=0, editable=False)
    worked_at = models.DateTimeField(editable=False, help_text="When the worker was last heard of.")
    failure = models.TextField(blank=True, editable=False, help_text="Why the work stopped.")
    unmatched = ArrayField(models.CharField(max_length=200), default=list, editable=False)
    first_at = models.DateTimeField(null=True, editable=False, help_text="The earliest of its dates that stand.")
    last_at = models.DateTimeField(null=True, editable=False)
    reason = models.TextField(blank=True, help_text="Why they are moved.")
    created_at = models.DateTimeField(editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    scheduled_at = models.DateTimeField(null=True, editable=False)
    scheduled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    cancelled_at = models.DateTimeField(null=True, editable=False)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    cancel_reason = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        permissions = [("move_subscribers", "Can move subscribers to other plan versions")]
        indexes = [models.Index(fields=["worked_at"], name="move_at_work", condition=~Q(work=""))]
        constraints = [
            models.CheckConstraint(
                name="move_scheduled_with_a_reason",
                condition=Q(state="draft", scheduled_at__isnull=True)
                | (~Q(state="draft") & Q(scheduled_at__isnull=False) & ~Q(reason="")),
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="move_moves", field="state", transitions=MOVE_MOVES),
            pgtrigger.Protect(
                name="move_asked_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "ROW(OLD.token, OLD.target_id, OLD.choice, OLD.as_of, OLD.created_at) IS DISTINCT FROM"
                    " ROW(NEW.token, NEW.target_id, NEW.choice, NEW.as_of, NEW.created_at)"
                ),
            ),
            pgtrigger.Protect(
                name="move_kept", operation=pgtrigger.Delete, condition=pgtrigger.Condition("OLD.state <> 'draft'")
            ),
        ]

    def __str__(self) -> str:
        return f"Move {self.pk} to {self.target}"


class MovedSubscription(models.Model):
    """One subscription in a move: when it moves and from what, what that would change, and what came of it.

    Amounts are in the contract's currency, over its last three complete cycles. `old` and `new` are the ids of the
    intervals that were superseded and of those that replaced them, as `old_terms` and `new_terms` are of own terms;
    `earlier` is the version whose turn it would have been at `at` itself.
    """

    move = models.ForeignKey(Move, models.CASCADE, related_name="rows")
    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="moves")
    currency = models.CharField(max_length=3)
    from_version = models.ForeignKey(PlanVersion, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome)
    code = models.CharField(max_length=20, blank=True, help_text="What kind of reason.")
    note = models.TextField(blank=True, help_text="Why it is left out, or what to know.")
    before = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    after = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    change = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    percent = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    effect = models.JSONField(default=dict, help_text="By cycle and by charge.")
    problem = models.TextField(blank=True, help_text="Why the effect cannot be told.")
    old = ArrayField(models.BigIntegerField(), default=list)
    new = ArrayField(models.BigIntegerField(), default=list)
    old_terms = ArrayField(models.BigIntegerField(), default=list, help_text="Own terms that end at the move.")
    new_terms = ArrayField(models.BigIntegerField(), default=list, help_text="What is left of them until then.")
    earlier = models.ForeignKey(PlanVersion, models.PROTECT, null=True, related_name="+")
    own_terms = models.BooleanField(default=False, help_text="Whether it has own terms at the move.")

    class Meta:
        ordering = ["id"]
        verbose_name = "moved subscription"
        indexes = [
            models.Index(
                "move", "outcome", "currency", Abs("change").desc(nulls_last=True), "id", name="moved_largest"
            ),
        ]
        constraints = [
            models.UniqueConstraint(name="moved_once", fields=["move", "subscription"]),
            models.CheckConstraint(
                name="moved_has_a_time",
                condition=Q(outcome__in=["left_out"]) | Q(at__isnull=False, from_version__isnull=False),
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="moved_moves", field="outcome", transitions=OUTCOME_MOVES),
            pgtrigger.Protect(
                name="moved_kept",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "ROW(OLD.move_id, OLD.subscription_id, OLD.at, OLD.from_version_id) IS DISTINCT FROM"
                    " ROW(NEW.move_id, NEW.subscription_id, NEW.at, NEW.from_version_id)"
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription} in {self.move}"

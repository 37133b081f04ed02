"""Pages of coupons: what each takes off, of what, for how long, and who redeemed it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from billing.catalog.coupons.models import Coupon, Redemption
from billing.catalog.coupons.services import retire
from billing.catalog.errors import CatalogError
from billing.catalog.models import ChargeCode, Plan
from billing.invoicing.agreed.pages import coupon_in_words
from config import clock
from customers.backoffice import NONE, OfficeAdmin, RecordInline, badge, change_url, granted, link_to

BADGES = {"retired": "", "active": "success", "over": "warning", "used up": "warning", "not yet": "info"}
KEPT_OPEN = ("max_redemptions", "valid_to")
"""What may still change once a coupon was redeemed."""


class CouponForm(forms.ModelForm):
    """A coupon; which plans or charges it is for is chosen from lists."""

    plans = forms.MultipleChoiceField(
        label="Only these plans", required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget()
    )
    charges = forms.MultipleChoiceField(
        label="Only these charges", required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="Of neither list any: everything that is billed.",
    )  # fmt: skip

    class Meta:
        model = Coupon
        fields = (
            "code", "name", "percentage", "amount", "currency", "duration", "cycles", "valid_from", "valid_to",
            "max_redemptions",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {
            "plans": [(each.code, each.name) for each in Plan.objects.all()],
            "charges": sorted({(code, code) for code in ChargeCode.objects.values_list("code", flat=True)}),
        }
        for name in known.keys() & self.fields.keys():
            self.fields[name].choices = known[name]  # type: ignore[attr-defined]
            self.fields[name].initial = self.instance.codes if self.instance.scope == name else []

    def clean(self) -> dict[str, Any]:
        """Plans or charges, and what they come to."""
        values = super().clean() or self.cleaned_data
        if "plans" not in self.fields:
            return values
        plans, charges = values.get("plans") or [], values.get("charges") or []
        if plans and charges:
            self.add_error("charges", "Choose plans or charges, not both: make two coupons.")
        self.instance.scope = "plans" if plans else "charges" if charges else "all"
        self.instance.codes = plans or charges
        return values


class RedemptionInline(RecordInline):
    """Who redeemed it, the latest first; what was undone stays on the pages of contracts."""

    model = Redemption
    fields = readonly_fields = ("whose", "start", "until", "why", "applied_by")
    ordering = ("-id",)
    fk_name = "coupon"
    max_num = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Redemption]:
        """Those that stand."""
        found = super().get_queryset(request).filter(superseded_at=None)
        return found.select_related("customer", "contract", "recorded_by")

    @display(description="For")
    def whose(self, redemption: Redemption) -> str:
        """A contract, or a customer."""
        return link_to(redemption.contract or redemption.customer)

    @display(description="Until")
    def until(self, redemption: Redemption) -> Any:
        """The day after the last one."""
        return redemption.end or "open"

    @display(description="Why")
    def why(self, redemption: Redemption) -> str:
        """The reason that was given."""
        return redemption.reason

    @display(description="Applied by")
    def applied_by(self, redemption: Redemption) -> Any:
        """Who applied it."""
        return redemption.recorded_by or NONE


@admin.register(Coupon)
class CouponAdmin(OfficeAdmin):
    """Coupons. They are applied on the page of a customer or of a contract."""

    form = CouponForm
    list_display = ("code", "name", "words", "validity", "times", "state")
    list_filter = (("duration", ChoicesDropdownFilter), ("scope", ChoicesDropdownFilter))
    search_fields = ("code", "name")
    search_help_text = "Code or name"
    inlines = (RedemptionInline,)
    actions_detail = ("retire_coupon",)
    has_retire_permission = granted("billing.change_coupon")
    empty_hint = "A percentage or an amount off, once, for some periods or for ever, which customers redeem by a code."
    fieldsets = (
        (None, {"fields": (("code", "name"), ("percentage", "amount", "currency"), ("duration", "cycles"))}),
        ("What it comes off", {"fields": ("plans", "charges")}),
        ("When and how often", {"fields": (("valid_from", "valid_to"), "max_redemptions")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Coupon]:
        """With how often each stands redeemed."""
        used = Count("redemptions", Q(redemptions__superseded_at=None))
        return super().get_queryset(request).annotate(used=used)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Once redeemed it stands; its limits may still change."""
        if obj is None or not obj.redemptions.exists():
            return ()
        names = [field.name for field in Coupon._meta.fields if field.editable and not field.auto_created]
        return ("words", "what_for", *(name for name in names if name not in (*KEPT_OPEN, "scope", "codes")))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What it comes off in words, once that stands."""
        found = super().get_fieldsets(request, obj)
        if "what_for" not in self.get_readonly_fields(request, obj):
            return found
        return ((None, {"fields": (("code", "name"), "words", "what_for")}), found[2])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One that nobody redeemed can be thrown away."""
        allowed = request.user.has_perm("billing.delete_coupon")
        return allowed and obj is not None and not obj.redemptions.exists()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A retired one stays retired."""
        steps = super().get_actions_detail(request, object_id)
        active = Coupon.objects.filter(pk=unquote(str(object_id)), retired_at=None).exists()
        return steps if active else []

    def save_model(self, request: HttpRequest, obj: Coupon, form: Any, change: bool) -> None:
        """With who made it, and when."""
        if not change:
            obj.created_by, obj.created_at = request.user, clock.now()
        super().save_model(request, obj, form, change)

    @action(description="Retire", icon="block", permissions=["retire"])
    def retire_coupon(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Nobody can redeem it any more."""
        coupon = self.get_object(request, unquote(object_id))
        assert coupon is not None
        try:
            retire(coupon=coupon, now=clock.now())
        except CatalogError as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, coupon, "Retired.")
            messages.success(request, f"{coupon} is retired: whoever redeemed it keeps it, nobody else can.")
        return HttpResponseRedirect(change_url(coupon))

    @display(description="Takes off")
    def words(self, coupon: Coupon) -> str:
        """In words."""
        return coupon_in_words(coupon)

    @display(description="What it comes off")
    def what_for(self, coupon: Coupon) -> str:
        """Everything, or the codes of plans or charges."""
        return "everything" if not coupon.codes else f"{coupon.scope}: {', '.join(coupon.codes)}"

    @display(description="Valid", ordering="valid_from")
    def validity(self, coupon: Coupon) -> str:
        """From when until when it can start."""
        if not coupon.valid_from and not coupon.valid_to:
            return "always"
        return f"{coupon.valid_from or '…'} to {coupon.valid_to or '…'}"

    @display(description="Redeemed", ordering="used")
    def times(self, coupon: Any) -> str:
        """How often, and of how many."""
        return f"{coupon.used} of {coupon.max_redemptions}" if coupon.max_redemptions else str(coupon.used)

    @display(description="State")
    def state(self, coupon: Any) -> str:
        """Whether it can be redeemed today."""
        today = clock.now().date()
        if coupon.retired_at:
            text = "retired"
        elif coupon.max_redemptions is not None and coupon.used >= coupon.max_redemptions:
            text = "used up"
        elif coupon.valid_to and today >= coupon.valid_to:
            text = "over"
        else:
            text = "not yet" if coupon.valid_from and today < coupon.valid_from else "active"
        return badge(text, BADGES)

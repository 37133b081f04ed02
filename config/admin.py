"""Users, roles and background tasks in the look of the back office."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django_q import admin as queue
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

for model in (User, Group, Failure, OrmQ, Schedule, Success):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Who may sign in, with their roles."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "last_login")


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Roles: RevOps, Finance, Engineer and Auditor come with Meterbook; add your own beside them."""


@admin.register(OrmQ)
class QueuedAdmin(queue.QueueAdmin, ModelAdmin):
    """Tasks that wait for a worker."""


@admin.register(Success)
class SuccessAdmin(queue.TaskAdmin, ModelAdmin):
    """Tasks that were done."""


@admin.register(Failure)
class FailureAdmin(queue.FailAdmin, ModelAdmin):
    """Tasks that failed, with the error."""


@admin.register(Schedule)
class ScheduleAdmin(queue.ScheduleAdmin, ModelAdmin):
    """What runs regularly."""

"""People, groups and tokens in the admin. Who may give rights to others: superusers alone."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from knox.admin import AuthTokenAdmin, AuthTokenCreateForm
from knox.models import AuthToken

from accounts import security_log, tokens
from accounts.models import User

if TYPE_CHECKING:
    Base = UserAdmin[User]
else:
    Base = UserAdmin  # not generic at run time

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class Listed:
    """400 for what the addresses and boxes of a list never say: the year 0, a word as an id."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        try:
            return super().changelist_view(request, extra_context)  # type: ignore[misc]  # a mixin
        except ValueError as error:
            raise BadRequest from error


class Recorded(Listed):
    """A line of the security log for each change of what somebody may do, and who made it."""

    RECORDED: tuple[str, ...] = ()  # names of fields
    task = "people"  # in the console's index

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Called once something was saved; the form of a new password has its field, too."""
        changed = [name for name in form.changed_data if name in self.RECORDED]
        if changed:
            _record(request, form.user if changed == ["password"] else form.instance, changed)
        return super().construct_change_message(request, form, formsets, add)  # type: ignore[misc]


@admin.register(User)
class PersonAdmin(Recorded, Base):
    """A name is given once. Nobody is deleted, because the name would be free for another,
    who would then own what it wrote: take "active" away instead.

    Staff who are no superusers change people without any rights, and give nobody rights: who
    can set the password of somebody with more rights has those rights.
    """

    RECORDED = (*RIGHTS, "is_active", "password")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        if obj is not None:
            fields = (*fields, "username")
        return fields if _is_superuser(request) else (*fields, *RIGHTS)

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().add_view(request, *args, **kwargs)
        except ValidationError as taken:  # by somebody who signed up at the same moment
            messages.error(request, " ".join(taken.messages))
            return redirect(request.path)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or _is_superuser(request) or not _has_rights(obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


admin.site.unregister(Group)
admin.site.unregister(AuthToken)


@admin.register(Group)
class RightsAdmin(Recorded, GroupAdmin):
    """A group is the rights of its members: superusers alone change one."""

    RECORDED = ("permissions",)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        super().delete_model(request, obj)
        _record(request, obj, ["deleted"])

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for group in queryset:
            self.delete_model(request, group)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


class TokenForm(AuthTokenCreateForm):  # type: ignore[misc]  # knox comes without types
    def clean(self) -> Any:
        if user := self.cleaned_data.get("user"):
            try:
                tokens.make_room(user)
            except tokens.TooManyTokens as refused:
                raise ValidationError(refused.detail, refused.code) from refused
        return super().clean()


@admin.register(AuthToken)
class TokenAdmin(Listed, AuthTokenAdmin):  # type: ignore[misc]  # knox comes without types
    """A token acts as its person: others' are made by superusers alone, and by nobody given
    to somebody else. Revoking one takes the permission to delete it."""

    add_form = TokenForm
    task = "people"

    def save_model(self, request: HttpRequest, obj: AuthToken, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        security_log.record("token made", request, name=obj.user.get_username(), by=_who(request))

    def delete_model(self, request: HttpRequest, obj: AuthToken) -> None:
        tokens.revoke(request, AuthToken.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        tokens.revoke(request, queryset)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _record(request: HttpRequest, of: Any, fields: list[str]) -> None:
    security_log.record(
        "permissions changed", request, of=str(of), fields=",".join(fields), by=_who(request)
    )


def _who(request: HttpRequest) -> str:
    return request.user.get_username()


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _has_rights(person: User) -> bool:
    """Whether they have, or would have once they are active, any right that others lack."""
    return (
        person.is_staff
        or person.is_superuser
        or person.groups.exists()
        or person.user_permissions.exists()
    )

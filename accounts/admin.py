"""People in the admin."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from accounts.models import User

if TYPE_CHECKING:
    Base = UserAdmin[User]
else:
    Base = UserAdmin  # not generic at run time


@admin.register(User)
class PersonAdmin(Base):
    """A name is given once. Nobody is deleted, because the name would be free for another,
    who would then own what it wrote: take "active" away instead."""

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else (*fields, "username")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

"""The operator's console: who signs in, and its addresses."""

from typing import Any

from django.test import Client

from accounts.models import User
from tests.support.api import person

PASSWORD = "correct horse battery"


def signed_in(username: str = "root", **rights: bool) -> Client:
    user = person(username)
    User.objects.filter(pk=user.pk).update(is_staff=True, **rights)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def url(model: Any, *rest: object) -> str:
    parts = [model._meta.app_label, model._meta.model_name, *rest]
    return "/admin/" + "".join(f"{part}/" for part in parts)


NEW = {"username": "dora", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}


PROFILE = {"first_name": "D", "last_name": "", "email": "d@example.org", "is_active": "on",
           "date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}  # fmt: skip

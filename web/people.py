"""Whether there is such a person, and where their page is: pages of both sides may ask, and
neither knows accounts."""

from django.contrib.auth import get_user_model
from django.urls import NoReverseMatch, reverse

DOTS = (".", "..")  # a browser takes them for a folder


def has_account(username: str) -> bool:
    model = get_user_model()
    return model._default_manager.filter(**{model.USERNAME_FIELD: username}).exists()


def address_of(username: str) -> str:
    """The address of the person's page. "" for a name that fits into no address: events that no
    relay wrote may hold one."""
    try:
        return "" if username in DOTS else reverse("author", args=[username])
    except NoReverseMatch:
        return ""

"""Whether there is such a person, and where their page is: pages of both sides may ask, and
neither knows accounts."""

from collections.abc import Collection

from django.contrib.auth import get_user_model
from django.urls import NoReverseMatch, reverse

from messaging import is_away

DOTS = (".", "..")  # a browser takes them for a folder


def has_account(username: str) -> bool:
    model = get_user_model()
    return model._default_manager.filter(**{model.USERNAME_FIELD: username}).exists()


def with_accounts(usernames: Collection[str]) -> frozenset[str]:
    """Those of the names that are somebody's. All of them, where that cannot be asked: a page
    that everybody may read needs no accounts."""
    if not usernames:
        return frozenset()
    model = get_user_model()
    found = model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": usernames})
    try:
        return frozenset(found.values_list(model.USERNAME_FIELD, flat=True))
    except Exception as error:
        if not is_away(error):
            raise
        return frozenset(usernames)


def address_of(username: str) -> str:
    """The address of the person's page. "" for a name that fits into no address: events that no
    relay wrote may hold one."""
    try:
        return "" if username in DOTS else reverse("author", args=[username])
    except NoReverseMatch:
        return ""

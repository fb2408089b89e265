"""Tokens for the API: how many a person may have, and when they end."""

from collections import Counter

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from knox.models import AuthToken
from knox.settings import knox_settings

from accounts import security_log
from accounts.models import User
from messaging import Forbidden


class TooManyTokens(Forbidden):
    def __init__(self, limit: int) -> None:
        detail = f"There are {limit} tokens already, which is the most. Revoke one at /accounts/."
        super().__init__("too_many_tokens", detail)


def valid(user: AbstractBaseUser) -> QuerySet[AuthToken]:
    """The person's tokens that have not expired."""
    later = Q(expiry__isnull=True) | Q(expiry__gt=timezone.now())
    found: QuerySet[AuthToken] = AuthToken.objects.filter(later, user=user)
    return found


def create(request: HttpRequest, user: AbstractBaseUser) -> tuple[AuthToken, str]:
    """The new token's row, and the token itself. Raises `TooManyTokens`."""
    with transaction.atomic():
        make_room(user)
        created: tuple[AuthToken, str] = AuthToken.objects.create(user)
    security_log.record("token made", request, name=user.get_username())
    return created


def revoke(request: HttpRequest, rows: QuerySet[AuthToken]) -> None:
    """Delete these rows, with a line for each person whose they were."""
    ended = Counter(rows.values_list("user__username", flat=True))
    rows.delete()
    for name, count in sorted(ended.items()):
        security_log.record("tokens revoked", request, name=name, count=count)


def make_room(user: AbstractBaseUser) -> None:
    """Delete the person's expired tokens. Raises `TooManyTokens` if there is no room for another
    one. Of two that are made at once the second waits for the first to commit."""
    User.objects.select_for_update().get(pk=user.pk)
    AuthToken.objects.filter(user=user, expiry__lte=timezone.now()).delete()
    if valid(user).count() >= knox_settings.TOKEN_LIMIT_PER_USER:
        raise TooManyTokens(knox_settings.TOKEN_LIMIT_PER_USER)

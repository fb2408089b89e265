"""Tokens for the API that have expired: nobody can use them."""

from django.db.models.functions import Now
from knox.models import AuthToken

from messaging import daily


@daily
def expired_tokens() -> None:
    AuthToken.objects.filter(expiry__lt=Now()).delete()

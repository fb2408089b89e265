"""The page of one's account, with one's tokens for the API."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from knox.models import AuthToken

from accounts import tokens
from accounts.tokens import TooManyTokens
from web.toasts import done


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """POST makes a token, which is shown this once."""
    assert request.user.is_authenticated, "login_required"
    token = refused = None
    if request.method == "POST":
        try:
            token = tokens.create(request, request.user)[1]
        except TooManyTokens as error:
            refused = error
    context = {
        "token": token,
        "refused": refused,
        "tokens": tokens.valid(request.user).order_by("-created"),
    }
    status = refused.status if refused else 200
    return render(request, "accounts/account.html", context, status=status)


@login_required
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    """Take one of one's tokens back."""
    key = request.POST.get("token", "").replace("\0", "")
    tokens.revoke(request, AuthToken.objects.filter(user=request.user, digest=key))
    done(request, "Token revoked.")
    return redirect("account")


@login_required
@require_POST
def revoke_all(request: HttpRequest) -> HttpResponse:
    tokens.revoke(request, AuthToken.objects.filter(user=request.user))
    done(request, "All tokens revoked.")
    return redirect("account")

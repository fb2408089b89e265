"""Signing up and in, and one's account. Under /accounts/."""

from django.urls import path

from accounts.account import account, revoke, revoke_all
from accounts.web import ChangePassword, SignIn, SignOut, SignUp

urlpatterns = [
    path("", account, name="account"),
    path("sign-up/", SignUp.as_view(), name="sign-up"),
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", SignOut.as_view(), name="logout"),
    path("password/", ChangePassword.as_view(), name="change-password"),
    path("tokens/revoke/", revoke, name="revoke-token"),
    path("tokens/revoke-all/", revoke_all, name="revoke-all-tokens"),
]

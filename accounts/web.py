"""Sign up, sign in, change one's password."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import login
from django.contrib.auth.forms import (
    AuthenticationForm,
    PasswordChangeForm,
    UserCreationForm,
)
from django.contrib.auth.views import (
    LoginView,
    LogoutView,
    PasswordChangeView,
    RedirectURLMixin,
)
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import CreateView

from accounts import login_throttle, security_log
from accounts.models import User
from messaging import TooManyRequests
from web.returning import carried, keep
from web.toasts import done, gone

if TYPE_CHECKING:
    CreationForm = UserCreationForm[User]
    PersonCreation = CreateView[User, "SignUpForm"]
else:
    CreationForm, PersonCreation = UserCreationForm, CreateView  # not generic at run time


class SignUpForm(CreationForm):
    """With one field for the password, which can be shown, in place of Django's two."""

    password2 = None  # type: ignore[assignment]  # as Django says that a field is left out

    def validate_password_for_user(self, user: Any, password_field_name: str = "password1") -> None:
        """Say what is wrong with it beside the field that there is."""
        super().validate_password_for_user(user, password_field_name)  # type: ignore[misc]

    class Meta(UserCreationForm.Meta):
        model = User


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class SignUp(RedirectURLMixin, PersonCreation):
    form_class = SignUpForm
    template_name = "accounts/sign_up.html"
    next_page = "feed"

    def form_valid(self, form: Any) -> HttpResponse:
        login_throttle.sign_up(self.request)
        try:
            self.object: User = form.save()
        except ValidationError as taken:  # by somebody who signed up at the same moment
            form.add_error(None, taken)
            return self.form_invalid(form)
        login(self.request, self.object)
        done(self.request, f"Welcome, {self.object.get_username()}.")
        return redirect(self.get_success_url())


class SignInForm(AuthenticationForm):
    """Asks the limits before it looks at a password."""

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username")
        if self.request is None or username is None or not self.cleaned_data.get("password"):
            return super().clean()
        with login_throttle.password(self.request, username):
            return super().clean()


class SignIn(LoginView):
    """Django's, that stops looking at passwords after some wrong ones, and keeps what was sent
    by somebody whose session had expired."""

    authentication_form = SignInForm
    template_name = "accounts/sign_in.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except TooManyRequests as refused:
            return self.wait(refused)

    def wait(self, refused: TooManyRequests) -> HttpResponse:
        """The form again, so that what it carries is not lost, and how long to wait."""
        context = self.get_context_data(form=SignInForm(self.request), refused=refused)
        answer = self.render_to_response(context, status=refused.status)
        answer["Retry-After"] = str(refused.wait_s)
        return answer

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        keep(self.request, self.get_success_url())
        done(self.request, f"Welcome back, {form.get_user().get_username()}.")
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {"kept": carried(self.request), **super().get_context_data(**kwargs)}


class SignOut(LogoutView):
    """Django's, that says so."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        username = request.user.get_username()
        answer = super().post(request, *args, **kwargs)
        gone(request, username, "Signed out.")
        return answer


class NewPasswordForm(PasswordChangeForm):
    """Asks the limits before it looks at the old password."""

    end_tokens = forms.BooleanField(
        initial=True,
        required=False,
        label="End my tokens for the API as well",
        help_text="Whoever has one acts as you, with the old password or the new one.",
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request = request

    def clean_old_password(self) -> str:
        with login_throttle.password(self._request, self.user.get_username(), "password change"):
            return super().clean_old_password()

    def save(self, commit: bool = True) -> Any:
        self.user.keeps_tokens = not self.cleaned_data["end_tokens"]
        return super().save(commit)


class ChangePassword(PasswordChangeView):
    form_class = NewPasswordForm
    template_name = "accounts/change_password.html"
    success_url = reverse_lazy("account")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        person = form.user
        tokens = "kept" if person.keeps_tokens else "ended"
        name = person.get_username()
        security_log.record("password changed", self.request, name=name, tokens=tokens)
        done(self.request, "Password changed.")
        return answer

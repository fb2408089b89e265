"""Sign up, sign in, and the page of one's account with its tokens for the API."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, UserCreationForm
from django.contrib.auth.views import LoginView, PasswordChangeView, RedirectURLMixin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django.views.generic import CreateView
from knox.models import AuthToken

from accounts.models import User
from messaging import attempts
from web.returning import carried, keep

if TYPE_CHECKING:
    CreationForm = UserCreationForm[User]
    PersonCreation = CreateView[User, "SignUpForm"]
else:
    CreationForm, PersonCreation = UserCreationForm, CreateView  # not generic at run time


class SignUpForm(CreationForm):
    class Meta(UserCreationForm.Meta):
        model = User


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class SignUp(RedirectURLMixin, PersonCreation):
    form_class = SignUpForm
    template_name = "accounts/sign_up.html"
    next_page = "feed"

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            self.object: User = form.save()
        except ValidationError as taken:  # by somebody who signed up at the same moment
            form.add_error(None, taken)
            return self.form_invalid(form)
        login(self.request, self.object)
        return redirect(self.get_success_url())


class SignIn(LoginView):
    """Django's, that stops looking at passwords after some wrong ones, and keeps what was sent
    by somebody whose session had expired."""

    template_name = "accounts/sign_in.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        seconds = attempts.must_wait_s(request, request.POST.get("username", ""))
        if not seconds:
            return super().post(request, *args, **kwargs)
        context = self.get_context_data(form=AuthenticationForm(request), wait_s=seconds)
        answer = self.render_to_response(context, status=429)
        answer["Retry-After"] = str(seconds)
        return answer

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        keep(self.request, self.get_success_url())
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {"kept": carried(self.request), **super().get_context_data(**kwargs)}

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        attempts.failed(self.request, self.request.POST.get("username", ""))
        return super().form_invalid(form)


class ChangePassword(PasswordChangeView):
    template_name = "accounts/change_password.html"
    success_url = reverse_lazy("account")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """One's tokens. POST makes one, which is shown this once."""
    token = AuthToken.objects.create(request.user)[1] if request.method == "POST" else None
    tokens = AuthToken.objects.filter(user=request.user).order_by("-created")
    return render(request, "accounts/account.html", {"token": token, "tokens": tokens})


@login_required
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    """Take one of one's tokens back."""
    key = request.POST.get("token", "").replace("\0", "")
    AuthToken.objects.filter(user=request.user, digest=key).delete()
    return redirect("account")

"""Views of pages in a browser: refusals are pages, as are servers that are away."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers

from messaging import DomainError, NeedsNewerCode, TooManyRequests, is_away
from web.compression import compress
from web.errors import unavailable
from web.request import is_fragment
from web.toasts import says_something, with_toasts
from web.unchanged import unless_unchanged

View = Callable[..., HttpResponse]
TOLD = "_told_headers"
GONE = {
    "post_not_found": "This post is gone",
    "post_removed": "This post is gone",
    "comment_not_found": "This comment is gone",
}


def page(view: View) -> View:
    """A view whose refusals become pages, as do servers that are away."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            answer = view(request, *args, **kwargs)
        except DomainError as refused:
            answer = refusal(request, refused)
        except NeedsNewerCode:
            answer = unavailable(request)
        except Exception as error:
            if not is_away(error):
                raise
            answer = unavailable(request)
        for name, value in getattr(request, TOLD, {}).items():
            answer[name] = value
        # A page and its part have one address; a 304 says as much about caches as the page does.
        patch_vary_headers(answer, ["HX-Request", "Accept-Encoding"])
        answer = with_toasts(request, answer)
        if request.method in ("GET", "HEAD") and answer.status_code == 200:
            if not says_something(request):
                answer = unless_unchanged(request, answer)
            answer = compress(request, answer)
        return answer

    return wrapped


def tell(request: HttpRequest, headers: dict[str, str]) -> None:
    """Let the answer have these headers, whatever page it becomes."""
    setattr(request, TOLD, headers)


def refusal(request: HttpRequest, refused: DomainError) -> HttpResponse:
    """Why not: a page, or for htmx a toast on the page that is there."""
    layout = "fragment.html" if is_fragment(request) else "base.html"
    detail = refused.detail
    if gone := GONE.get(refused.code):
        detail = f"{gone}." if is_fragment(request) else "It was deleted, or never was here."
    heading = gone or ("Nothing is here" if refused.status == 404 else "That did not work")
    context = {"heading": heading, "detail": detail, "layout": layout}
    answer = render(request, "refused.html", context, status=refused.status)
    if isinstance(refused, TooManyRequests):
        answer["Retry-After"] = str(refused.wait_s)
    if is_fragment(request):
        answer["HX-Retarget"], answer["HX-Reswap"] = "#toasts", "beforeend"
    return answer


def lead_to(request: HttpRequest, address: str) -> HttpResponse:
    """Lead to another page, as a whole: a redirect htmx would follow by itself, and put that page
    into a part of this one."""
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return redirect(address)

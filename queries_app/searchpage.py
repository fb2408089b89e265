"""The page of the search. It works without JavaScript, and its address can be kept and shared."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from messaging import Invalid, Page, ask, behind
from queries_app.fields import MAX_NAME
from queries_app.projections import posts, search
from queries_app.queries import MAX_QUERY, FindPosts, FoundPost
from web.pages import page


@require_safe
@page
def search_page(request: HttpRequest) -> HttpResponse:
    """The form, and below it what was found. A refusal of the words stands beside them."""
    late = behind(request, posts, search)
    q, author = (request.GET.get(name, "").strip() for name in ("q", "author"))
    found: Page[FoundPost] | None = None
    refused: Invalid | None = None
    if q:
        try:
            found = ask(FindPosts(q=q, author=author or None, cursor=request.GET.get("cursor")))
        except Invalid as error:
            if error.attr != "q":
                raise
            refused = error
    context = {
        "q": q[:MAX_QUERY],  # whatever is longer is refused, and would make a long page
        "author": author[:MAX_NAME],
        "max_query": MAX_QUERY,
        "page": found,
        "filters": urlencode({"q": q, "author": author}) + "&",  # in links to pages beside this one
        "refused": refused,
        "behind": late,
    }
    return render(request, "search.html", context, status=refused.status if refused else 200)

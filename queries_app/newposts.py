"""What others have written since a page was made, for a notice on it: every open tab asks, again
and again. So it touches neither session nor account, and answers 304 while nothing is new."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from messaging import PAGE_SIZE, ask
from queries_app.queries import CountNewPosts, FindComments
from web.pages import page

ENOUGH = 286  # the status after which htmx asks no more: a higher number is not shown


@require_safe
@page
def new_posts(request: HttpRequest, post_id: UUID) -> HttpResponse:
    """The notice above a feed whose newest post is this one; empty while it still is."""
    count = ask(CountNewPosts(post_id=post_id)).count
    return notice(request, f"{post_id.hex}.{count}", "new_posts.html", {"count": count})


@require_safe
@page
def new_comments(request: HttpRequest, post_id: UUID) -> HttpResponse:
    """The notice below the last comments of a post; empty while none comes after the cursor."""
    found = ask(FindComments(post_id=post_id, cursor=request.GET.get("cursor"))).results
    first = found[0].comment_id if found else None
    context = {"count": len(found), "post_id": post_id, "first": first}
    return notice(request, f"{post_id.hex}.{first}.{len(found)}", "new_comments.html", context)


def notice(
    request: HttpRequest, version: str, template: str, context: dict[str, object]
) -> HttpResponse:
    """The notice, or 304 where the browser has this version of it."""
    etag = quote_etag(version)
    unchanged = get_conditional_response(request, etag)
    if unchanged is not None:
        return unchanged
    answer = HttpResponse(render_to_string(template, context) if context["count"] else "")
    if context["count"] == PAGE_SIZE:
        answer.status_code = ENOUGH
    answer["ETag"], answer["Cache-Control"] = etag, "no-cache"
    return answer

"""How many posts came after the newest one that a feed shows: every open tab asks, again and
again. So it touches neither session nor account, and answers 304 while nothing is new."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from messaging import ask
from queries_app.queries import CountNewPosts
from web.pages import page


@require_safe
@page
def new_posts(request: HttpRequest, post_id: UUID) -> HttpResponse:
    """The notice above a feed whose newest post is this one; empty while it still is."""
    count = ask(CountNewPosts(post_id=post_id)).count
    etag = quote_etag(f"{post_id.hex}.{count}")
    unchanged = get_conditional_response(request, etag)
    if unchanged is not None:
        return unchanged
    answer = HttpResponse(render_to_string("new_posts.html", {"count": count}) if count else "")
    answer["ETag"], answer["Cache-Control"] = etag, "no-cache"
    return answer

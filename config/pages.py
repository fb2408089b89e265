"""The addresses of the browser UI. Reading pages and forms stand in one tree, although the
write side and the read side do not know each other: this is where they meet."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_GET

from commands_app import web as write_side
from messaging import PreconditionFailed
from queries_app import web as read_side
from queries_app.newposts import new_comments, new_posts
from queries_app.searchpage import search_page

View = Callable[..., HttpResponse]


def form(shown: View, sent: View) -> View:
    """One address: GET shows the form, from the read side; POST is a command. If another change
    came before it (412), the form is shown again, with both texts."""
    get = require_GET(shown)

    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method != "POST":
            return get(request, *args, **kwargs)
        answer = sent(request, *args, **kwargs)
        return (
            shown(request, *args, **kwargs)
            if answer.status_code == PreconditionFailed.status
            else answer
        )

    return view


POST = "posts/<uuid:post_id>/"
COMMENT = f"{POST}comments/<uuid:comment_id>/"

urlpatterns = [
    path("", read_side.feed, name="feed"),
    path("most-liked/", read_side.feed, {"name": "most-liked"}, name="most-liked"),
    path("with-comments/", read_side.feed, {"name": "with-comments"}, name="with-comments"),
    path("new-posts/<uuid:post_id>/", new_posts, name="new-posts"),
    path("search/", search_page, name="search"),
    path("people/<str:username>/", read_side.author, name="author"),
    path("write/", form(write_side.write_form, write_side.write), name="write"),
    path(POST, read_side.post, name="post"),
    path(f"{POST}card/", read_side.card, name="card"),
    path(f"{POST}history/", read_side.post_history, name="history"),
    path(f"{POST}likes/", read_side.post_likes, name="likes"),
    path(f"{POST}edit/", form(read_side.edit_form, write_side.edit), name="edit"),
    path(f"{POST}delete/", form(read_side.delete_form, write_side.delete), name="delete"),
    path(f"{POST}like/", write_side.like, name="like"),
    path(f"{POST}unlike/", write_side.unlike, name="unlike"),
    path(f"{POST}comments/", write_side.comment, name="comment-on"),
    path(f"{POST}new-comments/", new_comments, name="new-comments"),
    path(COMMENT, read_side.comment, name="comment"),
    path(
        f"{COMMENT}edit/",
        form(read_side.edit_comment_form, write_side.edit_comment),
        name="edit-comment",
    ),
    path(
        f"{COMMENT}remove/",
        form(read_side.remove_comment_form, write_side.remove_comment),
        name="remove-comment",
    ),
]

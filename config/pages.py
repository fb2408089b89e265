"""The addresses of the browser UI. Reading pages and forms stand in one tree, although the
write side and the read side do not know each other: this is where they meet."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path

from commands_app import web as write_side
from queries_app import web as read_side
from queries_app.newposts import new_posts

View = Callable[..., HttpResponse]


def form(shown: View, sent: View) -> View:
    """One address: GET shows the form, from the read side; POST is a command."""

    def view(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return (sent if request.method == "POST" else shown)(request, *args, **kwargs)

    return view


POST = "posts/<uuid:post_id>/"
COMMENT = f"{POST}comments/<uuid:comment_id>/"

urlpatterns = [
    path("", read_side.feed, name="feed"),
    path("most-liked/", read_side.feed, {"name": "most-liked"}, name="most-liked"),
    path("with-comments/", read_side.feed, {"name": "with-comments"}, name="with-comments"),
    path("new-posts/<uuid:post_id>/", new_posts, name="new-posts"),
    path("people/<str:username>/", read_side.author, name="author"),
    path("write/", form(write_side.write_form, write_side.write), name="write"),
    path(POST, read_side.post, name="post"),
    path(f"{POST}card/", read_side.card, name="card"),
    path(f"{POST}history/", read_side.post_history, name="history"),
    path(f"{POST}edit/", form(read_side.edit_form, write_side.edit), name="edit"),
    path(f"{POST}delete/", form(read_side.delete_form, write_side.delete), name="delete"),
    path(f"{POST}like/", write_side.like, name="like"),
    path(f"{POST}unlike/", write_side.unlike, name="unlike"),
    path(f"{POST}comments/", write_side.comment, name="comment-on"),
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

"""Comments on the page of their post: which of them are shown, where one stands, and quoting."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse

from messaging import Invalid, Page, ask, encode_cursor
from queries_app.queries import CommentView, FindComment, FindComments, PostView

FROM_THE_END = encode_cursor(True, datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
BEFORE = 10  # comments before the one that a link leads to; on a first page there may be more
MAX_QUOTED = 1_000  # characters


def comments_of(request: HttpRequest, post_id: UUID) -> Page[CommentView]:
    """The page of comments at the cursor; with `at=end` the last one, where a new one is."""
    if request.GET.get("at") != "end":
        cursor = request.GET.get("cursor")
        return ask(FindComments(post_id=post_id, cursor=cursor))
    last = ask(FindComments(post_id=post_id, cursor=FROM_THE_END))
    return replace(last, next=None)


def new_ones(request: HttpRequest, post_id: UUID, shown: Page[CommentView]) -> str:
    """Where a page asks for comments after its last one; "" where a next page has them."""
    if shown.next:
        return ""
    cursor = request.GET.get("cursor", "")
    if shown.results:
        cursor = encode_cursor(False, shown.results[-1].commented_at, shown.results[-1].comment_id)
    return reverse("new-comments", args=[post_id]) + (
        f"?{urlencode({'cursor': cursor})}" if cursor else ""
    )


def query_of(request: HttpRequest) -> str:
    """What leads to this page of comments again, for a link that adds to it."""
    given = {name: request.GET[name] for name in ("cursor", "at") if name in request.GET}
    return f"{urlencode(given)}&" if given else ""


def address_of(post_id: UUID, found: CommentView) -> str:
    """Of the page on which the comment stands: the first one, or one that begins some before it.
    A link to the comment itself stays right while others come and go."""
    here = encode_cursor(True, found.commented_at, found.comment_id)
    before = ask(FindComments(post_id=post_id, cursor=here, page_size=BEFORE + 1)).results
    query = ""
    if len(before) > BEFORE:
        first = encode_cursor(False, before[0].commented_at, before[0].comment_id)
        query = "?" + urlencode({"cursor": first})
    return f"{reverse('post', args=[post_id])}{query}#comment-{found.comment_id}"


def quoted(request: HttpRequest, post: PostView) -> str:
    """What the form for a comment begins with: with `quote=` the post, or a comment of it, whose id
    that is. Raises `Invalid` (400) for what is no id, `NotFound` for what is not there."""
    asked = request.GET.get("quote")
    if asked is None:
        return ""
    try:
        wanted = UUID(asked)
    except ValueError:
        detail = "Follow a link «Quote»; what to quote is the id of the post or of a comment."
        raise Invalid("invalid", detail, "quote") from None
    if wanted == post.post_id:
        return quotation(post.author, post.message)
    found = ask(FindComment(post_id=post.post_id, comment_id=wanted))
    return quotation(found.author, found.text)


def quotation(author: str, text: str) -> str:
    """@alice wrote:
    > Each line of the text.
    """
    shown = text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED].rstrip() + "…"
    lines = [f"> {line}".rstrip() for line in shown.split("\n")]
    return "\n".join([f"@{author} wrote:", *lines, "", ""])

"""What happened to a post, in words."""

from django import template

register = template.Library()

HAPPENED = {
    "post_created": "wrote the post",
    "message_updated": "edited the post",
    "post_liked": "liked it",
    "post_unliked": "no longer likes it",
    "comment_added": "commented",
    "comment_updated": "edited a comment",
    "comment_removed": "deleted a comment",
    "post_removed": "deleted the post",
}


@register.filter
def what_happened(what: str) -> str:
    """ "comment_added" -> "commented" """
    return HAPPENED.get(what, what.replace("_", " "))

"""The error codes of this site beside those of every project: docs/errors.md."""

from messaging import explain_codes

explain_codes(
    403,
    "not_author",
    "not_comment_author",
    text="only who wrote the post, or the comment, may do this",
)
explain_codes(
    403,
    "too_many_tokens",
    text="revoke a token at `/accounts/` first",
)
explain_codes(
    404,
    "post_not_found",
    "comment_not_found",
    text="there is no such post or comment",
)
explain_codes(
    404,
    "person_not_found",
    text="nobody has this name, on pages",
)
explain_codes(
    409,
    "post_exists",
    "comment_exists",
    text="the id that you chose is that of another post or comment",
)
explain_codes(
    409,
    "post_removed",
    text="the post is gone, and takes nothing any more",
)
explain_codes(
    409,
    "too_many_likes",
    "too_many_comments",
    text="the post has as many as it takes",
)
explain_codes(
    412,
    "text_changed",
    "conflict",
    text="the text was changed since its form was opened, on pages",
)

"""The read models of posts: one row holds all that a page shows of a post or comment."""

from django.db import models
from django.db.models import Q

from messaging.projections.models import ReadModel, RootModel


class Post(RootModel):
    """A post as lists and pages show it. Its id is the stream's."""

    author = models.CharField(max_length=150, default="")
    message = models.TextField(default="")
    posted_at = models.DateTimeField(null=True)
    edited_at = models.DateTimeField(null=True)
    likes = models.IntegerField(default=0)
    comments_count = models.IntegerField(default=0)
    # For the partial indexes. They change seldom, unlike the counts: on PostgreSQL an
    # update that changes no indexed column need not touch the indexes (HOT).
    has_likes = models.BooleanField(default=False)
    has_comments = models.BooleanField(default=False)
    # Until the post is created, and again when it is gone, nobody sees the row.
    visible = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "stream_id"], name="one_post_a_stream")
        ]
        indexes = [
            models.Index(
                fields=["generation", "posted_at", "stream_id"],
                condition=Q(visible=True),
                name="posts_by_time",
            ),
            models.Index(
                fields=["generation", "author", "posted_at", "stream_id"],
                condition=Q(visible=True),
                name="posts_by_author",
            ),
            models.Index(
                fields=["generation", "posted_at", "stream_id"],
                condition=Q(visible=True, has_comments=True),
                name="posts_with_comments",
            ),
            models.Index(
                fields=["generation", "posted_at", "stream_id"],
                condition=Q(visible=True, has_likes=True),
                name="posts_with_likes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.message[:40]}"


class Comment(ReadModel):
    """A comment, with its author's name."""

    key = ("comment_id",)  # unique within its post; the sender may have chosen it

    comment_id = models.UUIDField()
    author = models.CharField(max_length=150)
    text = models.TextField()
    commented_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "stream_id", "comment_id"], name="one_comment_an_id"
            )
        ]
        indexes = [
            models.Index(
                fields=["generation", "stream_id", "commented_at", "comment_id"],
                name="comments_by_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.text[:40]}"

"""The read models of posts: one row holds all that a page shows of a post or comment."""

from django.db import models
from django.db.models import Q

from messaging import ReadModel, RootModel, TotalModel
from queries_app.wordindex import WordsField


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


class History(RootModel):
    """The progress of a post's history, with the text that its next edit replaces."""

    message = models.TextField(default="")
    visible = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "stream_id"], name="one_history_a_stream")
        ]
        verbose_name_plural = "histories"

    def __str__(self) -> str:
        return str(self.stream_id)


class HistoryEntry(ReadModel):
    """One thing that happened to a post."""

    key = ("position",)

    position = models.IntegerField(help_text="The version of the event.")
    what = models.CharField(max_length=50)
    actor = models.CharField(max_length=150)
    at = models.DateTimeField()
    comment_id = models.UUIDField(null=True)
    old_text = models.TextField(null=True)  # noqa: DJ001  # None: there was none
    new_text = models.TextField(null=True)  # noqa: DJ001

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "stream_id", "position"], name="one_entry_a_version"
            )
        ]
        verbose_name_plural = "history entries"
        permissions = [("view_removed_text", "Can view removed texts (one's own; staff: all)")]

    def __str__(self) -> str:
        return f"{self.stream_id} {self.position}: {self.what}"


class CommentText(ReadModel):
    """The text of a comment that its next edit replaces. There is none of a removed comment."""

    key = ("comment_id",)

    comment_id = models.UUIDField()
    text = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "stream_id", "comment_id"], name="one_text_a_comment"
            )
        ]

    def __str__(self) -> str:
        return self.text[:40]


class Likes(RootModel):
    """How many people like a post."""

    count = models.IntegerField(default=0)
    visible = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "stream_id"], name="one_count_a_stream")
        ]
        indexes = [
            models.Index(
                fields=["generation", "count", "stream_id"],
                condition=Q(visible=True),
                name="posts_by_likes",
            )
        ]
        verbose_name_plural = "likes"

    def __str__(self) -> str:
        return f"{self.stream_id}: {self.count}"


class Like(ReadModel):
    """One person's like."""

    key = ("username",)

    username = models.CharField(max_length=150)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "stream_id", "username"], name="one_like_a_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.username} likes {self.stream_id}"


class Person(TotalModel):
    """How much a person has written, over all posts."""

    key = ("username",)

    username = models.CharField(max_length=150)
    posts = models.IntegerField(default=0, help_text="Without removed ones.")
    since = models.DateTimeField(help_text="When they wrote the first one, be it removed or not.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "username"], name="one_row_a_person")
        ]
        verbose_name_plural = "people"

    def __str__(self) -> str:
        return f"{self.username}: {self.posts}"


class SearchedPost(RootModel):
    """The progress of a post in the index of the search, with what its texts have in common."""

    author = models.CharField(max_length=150, default="")
    posted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "stream_id"], name="one_searched_post_a_stream"
            )
        ]

    def __str__(self) -> str:
        return str(self.stream_id)


class SearchedText(ReadModel):
    """The words of a post's own text, or of one of its comments. None of what is removed.

    Migration 0001 adds the index over them, which Django cannot describe for both databases.
    """

    key = ("is_comment", "text_id")

    is_comment = models.BooleanField()
    text_id = models.UUIDField(help_text="The comment's id; of the post's own text its id.")
    author = models.CharField(max_length=150, help_text="Of the post.")
    posted_at = models.DateTimeField(help_text="The post.")
    written_at = models.DateTimeField(help_text="This text.")
    words = WordsField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "stream_id", "is_comment", "text_id"],
                name="one_searched_text_an_id",
            )
        ]
        indexes = [
            models.Index(fields=["generation", "posted_at", "stream_id"], name="searched_by_time"),
            models.Index(
                fields=["generation", "author", "posted_at", "stream_id"],
                name="searched_by_author",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.words[:40]}"

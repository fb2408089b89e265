"""What people may ask. Each query is an endpoint. Django imports this package at start."""

from queries_app.queries.comments import CommentView, FindComment, FindComments
from queries_app.queries.history import FindPostHistory, HistoryEntryView
from queries_app.queries.likes import FindLikes, LikeView, liked_by, some_who_like
from queries_app.queries.people import FindPerson, PersonView
from queries_app.queries.posts import (
    CountNewPosts,
    FindAllPosts,
    FindMostLikedPosts,
    FindMyPosts,
    FindPostById,
    FindPostsByAuthor,
    FindPostsWithComments,
    FindPostsWithLikes,
    NewPosts,
    PostDetail,
    PostView,
    newest_changes,
    one_post,
)
from queries_app.queries.search import MAX_QUERY, FindPosts, FoundPost, Hit

__all__ = [
    "MAX_QUERY",
    "CommentView",
    "CountNewPosts",
    "FindAllPosts",
    "FindComment",
    "FindComments",
    "FindLikes",
    "FindMostLikedPosts",
    "FindMyPosts",
    "FindPerson",
    "FindPostById",
    "FindPostHistory",
    "FindPosts",
    "FindPostsByAuthor",
    "FindPostsWithComments",
    "FindPostsWithLikes",
    "FoundPost",
    "HistoryEntryView",
    "Hit",
    "LikeView",
    "NewPosts",
    "PersonView",
    "PostDetail",
    "PostView",
    "liked_by",
    "newest_changes",
    "one_post",
    "some_who_like",
]

"""Hypothesis drives the pure domain against a plain dictionary."""

import copy
from itertools import product
from typing import Any
from uuid import UUID, uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from commands_app import post as decide
from commands_app.post import Post, evolve, fingerprint, key_of
from messaging.exceptions import DomainError

ID = UUID(int=1)
PEOPLE = ["alice", "bob", "carol"]
COMMENTS = [uuid5(ID, str(n)) for n in range(2)]
TEXTS = ["one", "two", "two\r\n", "two\n", " "]
COMMANDS = ["new", "edit", "like", "unlike", "comment", "edit_comment", "uncomment", "delete"]

Step = tuple[str, str, UUID, str]


@st.composite
def steps_of(draw: st.DrawFn) -> list[Step]:
    """Mostly the life of a post that exists and is not deleted soon: few people and few
    comments, so that they meet each other again."""
    begin: list[Step] = [
        ("new", "alice", COMMENTS[0], "one"),
        ("comment", "bob", COMMENTS[0], "one"),
    ]
    alive = steps_with(COMMANDS[1:-1], min_size=5, max_size=40)
    anything = steps_with(COMMANDS, min_size=0, max_size=10)
    return begin[: draw(st.sampled_from([2, 1, 0]))] + draw(alive) + draw(anything)


def steps_with(kinds: list[str], *, min_size: int, max_size: int) -> st.SearchStrategy[list[Step]]:
    # All there are, so that a step is one choice: four took three times as long.
    step = st.sampled_from(list(product(kinds, PEOPLE, COMMENTS, TEXTS)))
    return st.lists(step, min_size=min_size, max_size=max_size)


@settings(max_examples=300, deadline=None)
@given(steps_of())
def test_the_domain_agrees_with_a_dictionary(steps: list[Step]) -> None:
    post: Post | None = None
    model: dict[str, Any] = {}
    events: list[Any] = []
    for kind, actor, comment, text in steps:
        expected = in_model(model, kind, actor, comment, text)
        try:
            decided = domain(post, kind, actor, comment, text)
            outcome: str | int = len(decided)
        except DomainError as refused:
            decided, outcome = [], refused.code
        assert outcome == expected, (kind, actor)
        for event in decided:
            post = evolve(post, copy.deepcopy(event))
        events.extend(decided)
        assert as_model(post) == model
    again: Post | None = None
    for event in events:
        again = evolve(again, event)
    assert again == post


def domain(post: Post | None, kind: str, actor: str, comment: UUID, text: str) -> list[Any]:
    match kind:
        case "new":
            return list(decide.new_post(post, ID, actor, text))
        case "edit":
            return list(decide.edit_message(post, actor, text))
        case "like":
            return list(decide.like_post(post, actor))
        case "unlike":
            return list(decide.unlike_post(post, actor))
        case "comment":
            return list(decide.add_comment(post, comment, actor, text))
        case "edit_comment":
            return list(decide.edit_comment(post, comment, actor, text))
        case "uncomment":
            return list(decide.remove_comment(post, comment, actor))
        case _:
            return list(decide.delete_post(post, actor))


def in_model(model: dict[str, Any], kind: str, actor: str, comment: UUID, text: str) -> str | int:
    """Change the dictionary as the command would: the code of a refusal, or how many events."""
    if kind in ("new", "edit", "comment", "edit_comment") and not text.strip():
        return "blank"
    text = text.replace("\r\n", "\n")
    if model.get("removed"):
        return "post_removed"
    if kind == "new":
        if model:
            return "post_exists"
        model |= {"author": actor, "message": text, "likers": [], "comments": {}, "gone": []}
        model["removed"] = False
        return 1
    if not model:
        return "post_not_found"
    if kind in ("edit", "delete") and model["author"] != actor:
        return "not_author"
    if kind in ("edit_comment", "uncomment"):
        if comment not in model["comments"]:
            return "comment_not_found"
        if model["comments"][comment][0] != actor:
            return "not_comment_author"
    before = copy.deepcopy(model)
    if kind == "edit":
        model["message"] = text
    elif kind == "like":
        model["likers"] = sorted({*model["likers"], actor})
    elif kind == "unlike":
        model["likers"] = [one for one in model["likers"] if one != actor]
    elif kind == "comment":
        if comment in model["comments"] or comment in model["gone"]:
            return "comment_exists"
        model["comments"][comment] = (actor, fingerprint(text))
    elif kind == "edit_comment":
        model["comments"][comment] = (actor, fingerprint(text))
    elif kind == "uncomment":
        del model["comments"][comment]
        model["gone"] = sorted([*model["gone"], comment])
    else:
        model["removed"] = True
    return int(model != before)


def as_model(post: Post | None) -> dict[str, Any]:
    if post is None:
        return {}
    return {
        "author": post.author,
        "message": post.message,
        "likers": sorted(name for name, _ in post.likers.items()),
        "comments": {one: post.comment(one) for one in COMMENTS if post.comment(one)},
        "gone": sorted(one for one in COMMENTS if key_of(one) in post.removed_comments),
        "removed": post.removed,
    }

"""What the fields of several queries and answers have in common."""

from messaging import MAX_PAGE_SIZE, NotFound

SIZE = {"serializer_kwargs": {"min_value": 1, "max_value": MAX_PAGE_SIZE}}
COUNT = {"serializer_kwargs": {"min_value": 0, "max_value": 2**31 - 1}}
CURSOR = {"serializer_kwargs": {"max_length": 200}}
NAME = {"example": "alice"}
MAX_NAME = 150  # characters
USERNAME = {"serializer_kwargs": {"max_length": MAX_NAME}, **NAME}


def post_not_found() -> NotFound:
    return NotFound("post_not_found", "There is no such post.", "post_id")

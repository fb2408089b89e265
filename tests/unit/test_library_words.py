"""`messaging/` is a library: not a word in it is about the site beside it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import global_settings

from messaging import conf

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for path in (ROOT / "messaging").rglob("*")
    if path.suffix in (".py", ".html", ".css", ".js", ".txt", ".svg")
    and not path.name.endswith(".min.js")  # other people's
)
# POST is a method of HTTP, which Django and DRF spell in their own ways.
OF_HTTP = re.compile(
    r'\bPOSTs?\b|method="post"|\bdef post\(|\bpost=command_schema\b|View\.post\b'
    r"|\bUnreadablePostError\b"
)
OF_THE_SITE = {
    "post", "posts", "comment", "comments", "commented", "liked", "unliked", "likes", "unlike",
    "author", "authors", "people",
}  # fmt: skip
ADDRESSES = re.compile(r"/api/v\d|\b(?:accounts|commands_app|queries_app|contracts|web)\.[a-z]")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
READ_FROM_THE_ENVIRONMENT = re.compile(r'\benv\.\w+\(\s*"([A-Z_]+)"')


def words_of_the_site(text: str) -> list[str]:
    """Also within names: `post_id`, `FindAllPosts`."""
    words = (word.lower() for word in WORD.findall(OF_HTTP.sub("", text)))
    return [word for word in words if word in OF_THE_SITE]


def variables() -> set[str]:
    """What this site reads from the environment. Where that is the name of a setting of Django's or
    a key of POSTLOG as well, the library may say it."""
    read = {
        name
        for path in (ROOT / "config").glob("*.py")
        for name in READ_FROM_THE_ENVIRONMENT.findall(path.read_text())
    }
    keys = {field.encode_name for field in conf.fields(conf.Postlog)}
    return read - keys - set(dir(global_settings))


def found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for path in SOURCES:
        for match in pattern.findall(path.read_text()):
            yield str(path.relative_to(ROOT)), match


@pytest.mark.parametrize(
    "text",
    [
        "a post",
        "posts",
        "post_id",
        "FindAllPosts",
        "POSTS = 1",
        "PostLiked",
        "the post.",
        "event.post",
    ],
)
def test_a_word_of_the_site_is_seen_in_prose_and_within_names(text: str) -> None:
    assert words_of_the_site(text)


@pytest.mark.parametrize(
    "text", ["request.POST", 'method="post"', "def post(self", "postgresql", "Postlog", "posted"]
)
def test_http_and_longer_words_are_none(text: str) -> None:
    assert not words_of_the_site(text)


def test_the_library_does_not_speak_of_posts_or_of_people() -> None:
    told = {str(p.relative_to(ROOT)): words_of_the_site(p.read_text()) for p in SOURCES}
    assert {path: words for path, words in told.items() if words} == {}


def test_it_names_no_address_and_no_module_of_the_site() -> None:
    assert list(found(ADDRESSES)) == []


def test_it_names_settings_and_no_variable_of_the_environment() -> None:
    """Which variable fills a setting is up to the project's settings."""
    names = variables()
    assert {"WRITE_DATABASE_URL", "KAFKA_TOPIC", "LOG_LEVEL", "TRUSTED_PROXIES"} <= names
    assert list(found(re.compile(rf"\b(?:{'|'.join(sorted(names))})\b"))) == []

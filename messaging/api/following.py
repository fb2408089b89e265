"""From the answer of a command that was sent by a browser to the queries that wait for it, and
from an error to its explanation."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from messaging.api.openapi import TOKEN_PARAMETER, kebab
from messaging.message import QUERIES


class Link(NamedTuple):
    label: str
    url: str


def queries_for(answer: Any) -> list[Link]:
    """The queries that the ids of a command's answer are enough for, with its token: they show what
    the command did. Where none takes ids, those that take nothing."""
    if not isinstance(answer, Mapping) or TOKEN_PARAMETER not in answer:
        return []
    found = []
    for query_type in QUERIES.values():
        needed = {one.name for one in dataclasses.fields(query_type) if _is_required(one)}
        if needed <= answer.keys():
            asked = {name: answer[name] for name in sorted(needed)}
            found.append((len(needed), query_type, asked))
    most = max((count for count, *_ in found), default=0)
    closest = [one for one in found if bool(one[0]) == bool(most)]
    links = (_link(query_type, asked, answer) for _, query_type, asked in closest)
    return [one for one in links if one is not None]


def explanations_of(answer: Any) -> list[Link]:
    """Of each code of an error's answer, once."""
    errors = answer.get("errors") if isinstance(answer, Mapping) else None
    codes: Iterable[str] = dict.fromkeys(str(one["code"]) for one in errors or ())
    return [Link(code, f"{reverse('errors')}#{code}") for code in codes]


def _link(query_type: type, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> Link | None:
    name = kebab(query_type.__name__)
    parameters = urlencode({**asked, TOKEN_PARAMETER: answer[TOKEN_PARAMETER]})
    try:
        return Link(name, f"{reverse(f'queries-{name}')}?{parameters}")
    except NoReverseMatch:  # the API does not offer it
        return None


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING

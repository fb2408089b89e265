"""Texts that people wrote: `{{ post.message|as_html:people }}`, `|excerpt:people` in lists, and in
a history `{{ entry.old_text|edited_to:entry.new_text }}`.

`people` are those whom the texts of the page name. Left out, they are looked up for one text.
"""

from collections.abc import Collection

from django import template
from django.utils.safestring import SafeString

from web import texts, word_diff
from web.links import people_in

register = template.Library()
register.filter("edited_to", word_diff.html_of_edit)


@register.filter
def as_html(text: str, people: Collection[str] | None = None) -> SafeString:
    return texts.html_of(text, people_in([text]) if people is None else people)


@register.filter
def excerpt(text: str, people: Collection[str] | None = None) -> texts.Excerpt:
    return texts.excerpt(text, people_in([text]) if people is None else people)

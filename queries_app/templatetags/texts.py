"""Texts that people wrote: `{{ post.message|as_html }}`, and `|excerpt` in lists."""

from django import template

from web import texts

register = template.Library()
register.filter("as_html", texts.html_of)
register.filter("excerpt", texts.excerpt)

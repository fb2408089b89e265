"""Texts that people wrote: `{{ post.message|as_html }}`, `|excerpt` in lists, and in a history
`{{ entry.old_text|edited_to:entry.new_text }}`."""

from django import template

from web import texts, word_diff

register = template.Library()
register.filter("as_html", texts.html_of)
register.filter("excerpt", texts.excerpt)
register.filter("edited_to", word_diff.html_of_edit)

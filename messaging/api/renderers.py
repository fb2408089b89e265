"""JSON for programs, pages with forms for browsers."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from rest_framework.renderers import BrowsableAPIRenderer, HTMLFormRenderer, JSONRenderer

if TYPE_CHECKING:  # views ask for the renderers of the settings, maybe these
    from rest_framework.views import APIView

from messaging.access import sentence
from messaging.api.following import explanations_of, queries_for

NOWHERE = "Not Found"  # as DRF names the view that answers for what is not there


class FastJSONRenderer(JSONRenderer):
    """As DRF's, by msgspec, which also knows dataclasses, UUIDs and times."""

    def render(
        self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else msgspec.json.encode(data, enc_hook=str)


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's browsable pages, with a form for queries too, and the JSON indented. A view may have a
    page of its own in place of the answer: `page`, and `page_context(request)`."""

    template = "messaging/api/page.html"

    def render(
        self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> Any:
        view, response = renderer_context["view"], renderer_context["response"]
        if response.status_code == HTTPStatus.OK:
            self.template = getattr(view, "page", self.template)
        return super().render(data, accepted_media_type, renderer_context)

    def get_default_renderer(self, view: "APIView") -> JSONRenderer:
        return JSONRenderer()

    def get_breadcrumbs(self, request: Any) -> list[tuple[str, str]]:
        """Without the folders of the URL that lead nowhere."""
        found = super().get_breadcrumbs(request)
        return [(name, url) for name, url in found if name != NOWHERE]

    def get_context(self, data: Any, accepted_media_type: Any, renderer_context: Any) -> Any:
        context = super().get_context(data, accepted_media_type, renderer_context)
        view, response = renderer_context["view"], renderer_context["response"]
        serializer_of = getattr(view, "query_serializer", None)
        of_page: dict[str, Any] = getattr(view, "page_context", dict)()
        return {
            **context,
            **of_page,
            "see": queries_for(data),
            "explanations": explanations_of(data) if response.status_code >= 400 else [],
            "who_may": sentence(view.who) if hasattr(view, "who") else "",
            "code_style": None,  # an inline style, for code that these pages have none of
            "query_form": serializer_of and _form(serializer_of()),
            "messages_of_no_field": _messages_of_no_field(data),
        }


def _form(serializer: Any) -> str:
    style = {"style": {"template_pack": "rest_framework/horizontal"}}
    return HTMLFormRenderer().render(serializer.data, "text/html", style)


def _messages_of_no_field(data: Any) -> list[str]:
    """What the form cannot show at one of its fields."""
    serializer = getattr(data, "serializer", None)
    fields = serializer.fields if serializer is not None else {}
    errors = data.get("errors", ()) if serializer is not None else ()
    return [error["detail"] for error in errors if error["attr"] not in fields]

"""The OpenAPI document, and Swagger UI, which shows it."""

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

from csp.decorators import csp_update
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

# Of threads that ask at once, one makes it. Two generators at once also break each other's lazy
# imports in a process that has just started.
_lock = Lock()


@cache
def _document() -> Any:
    """The same for every request: it says what the code is, whoever asks."""
    generator: Any = SchemaGenerator
    return generator().get_schema(request=None, public=True)


@cache
def _rendered(renderer: Callable[[], BaseRenderer], indent: int | None) -> Any:
    return renderer().render(_document(), renderer_context={"indent": indent})


@method_decorator(conditional_page, name="dispatch")
class SchemaView(SpectacularAPIView):
    """The document in the media type that was negotiated, made once a process: that costs a tenth
    of a second of CPU. `?version=` changes nothing, as this API has no versions to choose from."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer: Any = request.accepted_renderer
        media_type = renderer.media_type
        with _lock:
            body = _rendered(renderer.__class__, self._indent(request))
        if renderer.charset:
            media_type = f"{media_type}; charset={renderer.charset}"
        filename = self._get_filename(request, version=None)  # type: ignore[no-untyped-call]
        headers = {"Content-Disposition": f'inline; filename="{filename}"'}
        return HttpResponse(body, content_type=media_type, headers=headers)

    def _indent(self, request: Request) -> int | None:
        """As in `Accept: application/json; indent=2`; from 0 to 8, whatever is asked for."""
        renderer = request.accepted_renderer
        if not isinstance(renderer, JSONRenderer):
            return None
        return renderer.get_indent(request.accepted_media_type, {})


# It writes styles into the page, so this page, and no other, may have inline styles; scripts come
# from this server's files alone here too.
@method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")
class SwaggerView(SpectacularSwaggerSplitView):
    http_method_names = ["get", "head"]  # of OPTIONS it would make a page without what that needs

"""Swagger UI and ReDoc. Both write styles into the page, so these two pages, and no other, may
have inline styles; scripts come from this server's files alone here too."""

from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

own_styles = method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")


@own_styles
class SwaggerView(SpectacularSwaggerSplitView):
    pass


@own_styles
class RedocView(SpectacularRedocView):
    pass

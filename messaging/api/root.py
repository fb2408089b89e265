"""What the API has, and what its error codes mean: JSON for programs, pages for browsers."""

from typing import Any, ClassVar

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from messaging.api import overview
from messaging.api.operations import AsksForRebuilds, RestoreReadDb
from messaging.api.overview import Section
from messaging.api.renderers import BrowsableRenderer, FastJSONRenderer
from messaging.api.views import ApiView
from messaging.error_codes import explained

OPERATIONS = ["restore-read-db"]


class RootView(ApiView):
    """Every command and query."""

    permission_classes = [AllowAny]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]
    schema = None
    page = "messaging/api/root.html"
    commands: ClassVar[dict[str, type]]
    queries: ClassVar[dict[str, type]]

    def get(self, request: Request) -> Response:
        names = {"commands": [*self.commands, *OPERATIONS], "queries": [*self.queries]}
        return Response(
            {
                kind: {name: reverse(f"{kind}-{name}", request=request) for name in names}
                for kind, names in names.items()
            }
        )

    def page_context(self) -> dict[str, Any]:
        request = self.request._request
        commands = [overview.command_entry(request, *one) for one in self.commands.items()]
        queries = [overview.query_entry(request, *one) for one in self.queries.items()]
        operation = overview.operation_entry(
            request, "commands-restore-read-db", RestoreReadDb, AsksForRebuilds.who
        )
        return {
            "sections": [
                Section("Commands", "POST: change something.", commands),
                Section("Queries", "GET: ask something.", queries),
                Section("Operations", "POST: of the read side, no events.", [operation]),
            ],
            "documents": overview.documents(),
        }


class ErrorCodesView(ApiView):
    """A client goes by the code of an error, which stays what it is."""

    permission_classes = [AllowAny]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]
    schema = None
    page = "messaging/api/errors.html"

    def get_view_name(self) -> str:
        return "Error codes"

    def get(self, request: Request) -> Response:
        return Response({"errors": [one._asdict() for one in explained()]})

    def page_context(self) -> dict[str, Any]:
        return {"explained": explained()}

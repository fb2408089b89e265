"""Records that an operator may do something with: buttons that POST, each to its own address."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse

from messaging.admin.readonly_admin import ReadOnlyAdmin
from messaging.exceptions import PostlogError
from messaging.monitoring.audit import record
from messaging.transient import is_away, is_unmigrated, reason


class Button(NamedTuple):
    name: str  # in the address
    label: str
    right: str  # add, change or delete: the permission of the model that it takes
    help: str
    do: Callable[[HttpRequest, Any], str]  # of the row, if it is a row's; says how it went
    # Where it asks first: what is at stake, for the template of ActionAdmin.confirm_template.
    ask: Callable[[Any], dict[str, Any]] | None = None


class NothingDone(PostlogError):
    """The button has changed nothing; the message says why."""


class ActionAdmin(ReadOnlyAdmin):
    """The views of buttons stand outside the admin's own, which are atomic. Who does what is
    recorded first (messaging.monitoring.models.OperatorAction). A `PostlogError` is shown."""

    task = "act"
    change_form_template = "admin/messaging/operated_row.html"
    change_list_template = "admin/messaging/operated_list.html"
    confirm_template = "admin/messaging/confirm.html"
    row_buttons: tuple[Button, ...] = ()
    list_buttons: tuple[Button, ...] = ()

    def get_urls(self) -> list[Any]:
        rows = [path(f"<int:key>/{b.name}/", self._view(b), name=self._name(b.name))
                for b in self.row_buttons]  # fmt: skip
        lists = [path(f"{b.name}/", self._view(b), name=self._name(b.name))
                 for b in self.list_buttons]  # fmt: skip
        return [*lists, *rows, *super().get_urls()]

    def buttons_for(self, row: Any) -> tuple[Button, ...]:
        """Those that make sense for the row now."""
        return self.row_buttons

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        buttons = self.buttons_for(row) if row is not None else ()
        context = {"buttons": self._shown(request, buttons, object_id), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"buttons": self._shown(request, self.list_buttons), **(extra_context or {})}
        return super().changelist_view(request, context)

    def _shown(
        self, request: HttpRequest, buttons: tuple[Button, ...], *args: object
    ) -> list[dict[str, Any]]:
        return [
            {
                "label": b.label,
                "help": b.help,
                "asks": bool(b.ask),
                "url": reverse(f"admin:{self._name(b.name)}", args=args),
            }
            for b in buttons
            if self._may(request, b)
        ]

    def _name(self, what: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{what}"

    def _may(self, request: HttpRequest, button: Button) -> bool:
        right = f"{self.opts.app_label}.{button.right}_{self.opts.model_name}"
        return self.has_view_permission(request) and request.user.has_perm(right)

    def _view(self, button: Button) -> Callable[..., Any]:
        def view(request: HttpRequest, key: int | None = None) -> HttpResponse:
            asks = button.ask is not None and request.method == "GET"
            if request.method != "POST" and not asks:
                return HttpResponseNotAllowed(["GET", "POST"] if button.ask else ["POST"])
            if not self._may(request, button):
                raise PermissionDenied
            row = None if key is None else self.model._default_manager.filter(pk=key).first()
            if key is not None and row is None:
                messages.warning(request, f"There is no {self.opts.verbose_name} {key} (any more).")
            elif asks:
                return self._ask(request, button, row)
            else:
                self._do(request, button, row)
            return HttpResponseRedirect(self._where_to(row))

        return self.admin_site.admin_view(view)

    def _ask(self, request: HttpRequest, button: Button, row: Any) -> HttpResponse:
        assert button.ask is not None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{button.label}?",
            "opts": self.opts,
            "row": row,
            "back": self._where_to(row),
            "button": button,
            **button.ask(row),
        }
        return render(request, self.confirm_template, context)

    def _do(self, request: HttpRequest, button: Button, row: Model | None) -> None:
        asked_of = request.POST.get("projection")
        detail = f"{row}" if row is not None else ascii(asked_of)[:100] if asked_of else ""
        record(request.user.get_username(), f"{self.opts.verbose_name}: {button.name}", detail)
        try:
            messages.success(request, button.do(request, row))
        except (PostlogError, DatabaseError) as error:
            is_explained = is_away(error) or is_unmigrated(error)
            messages.error(request, reason(error) if is_explained else str(error))

    def _where_to(self, row: Model | None) -> str:
        if row is not None and self.model._default_manager.filter(pk=row.pk).exists():
            return reverse(f"admin:{self._name('change')}", args=[row.pk])
        return reverse(f"admin:{self._name('changelist')}")

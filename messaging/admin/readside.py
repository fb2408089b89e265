"""The read side's progress, who is active, and what operators did."""

from django.contrib import admin

from messaging.admin.filters import Lately, choice
from messaging.admin.readonly_admin import ReadOnlyAdmin
from messaging.monitoring.finding import NEWEST
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import Checkpoint, Discarded, ProjectionState
from messaging.projections.registry import PROJECTIONS
from messaging.workers.models import Heartbeat


@admin.register(ProjectionState)
class ProjectionStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "live_generation", "code_version", "inline")
    ordering = ("name",)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("projection", "generation", "partition", "offset", "halted")
    ordering = ("projection", "generation", "partition")


@admin.register(Discarded)
class DiscardedAdmin(ReadOnlyAdmin):
    task = "record"
    list_filter = (Lately.by("discarded_at"), choice("projection", lambda: PROJECTIONS))
    list_display = ("discarded_at", "projection", "stream_id", "version", "event_id")
    ordering = ("-id",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("role", "process", "active", "since", "beat_at", "stopped_at")
    ordering = ("role", "process")


@admin.register(OperatorAction)
class OperatorActionAdmin(ReadOnlyAdmin):
    task = "record"
    list_filter = (Lately.by("at"),)
    list_display = ("at", "actor", "action", "detail")
    ordering = ("-id",)
    search_fields = ("actor",)
    search_help_text = f"By the whole actor, among the newest {NEWEST:,}."

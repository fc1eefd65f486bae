"""Jobs as JSON values."""

from __future__ import annotations

from service.jobs.views import JobView
from service.json_types import JsonObject
from service.views.values import show_time


def show_job(view: JobView) -> JsonObject:
    """A job with its phases."""
    error = {"code": view.error_code, "detail": view.error_detail} if view.error_code else None
    return {
        "id": view.id,
        "kind": view.kind,
        "state": view.state,
        "reason": view.reason or None,
        "phase": view.phase or None,
        "phases": [
            {"name": phase.name, "started_at": show_time(phase.started_at), "ms": phase.ms} for phase in view.phases
        ],
        "progress": view.progress,
        "progress_text": None if view.finished else view.progress_text or None,
        "object": {"kind": view.object_kind, "id": view.object_id} if view.object_id else None,
        "result": view.result,
        "error": error,
        "actor": view.actor,
        "project_id": view.project_id,
        "request_id": view.request_id,
        "attempts": view.attempts,
        "cancel_requested": view.cancel_requested,
        "created_at": show_time(view.created_at),
        "started_at": show_time(view.started_at),
        "finished_at": show_time(view.finished_at),
    }

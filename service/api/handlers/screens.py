"""Handlers for a VM's screen: VNC access and screenshots."""

from __future__ import annotations

from service.api.models.vms import OpenVnc
from service.db import queries
from service.db.tables import Vm
from service.edge.call import Accepted, Call, Reply
from service.jobs.views import job_view
from service.operations.consoles import open_vnc, take_screenshot
from service.views.jobs import show_job
from service.views.values import show_time


def open_console(call: Call[OpenVnc]) -> Reply:
    """Open a VM's screen to VNC viewers with a short-lived password.

    The password is shown only in this response.
    """
    body = call.body
    opened = open_vnc.request(call.ctx, call.actor, call.ref, life_s=body.seconds)
    shown = {"password": opened.password, "expires_at": show_time(opened.expires_at)}
    job = job_view(opened.job_id)
    return Reply({**shown, "job": show_job(job)}, status=202, headers={"Location": f"/v1/jobs/{job.id}"})


def take(call: Call) -> Accepted:
    """Take a screenshot of a VM as a PNG file."""
    return Accepted(take_screenshot.request(call.ctx, call.actor, call.ref))


def picture(call: Call) -> Reply:
    """Show the latest screenshot of a VM, if it is recent."""
    vm = queries.get(Vm, call.ref, call.actor.scope)
    return Reply(take_screenshot.newest(call.ctx, vm), media_type="image/png")

"""Registry of all operations that run as jobs, by kind."""

from __future__ import annotations

from collections.abc import Mapping

from service.jobs.operation import Operation
from service.operations.catalogue import add_pool
from service.operations.consoles import open_vnc, take_screenshot
from service.operations.declare import apply_vm
from service.operations.disks import attach_disk, change_medium, create_volume, delete_volume, detach_disk, grow_volume
from service.operations.hosts import add_host, check_host
from service.operations.images import delete_image, import_image, sweep_images
from service.operations.observe import forecast_usage, observe_hosts, observe_storage, observe_vms
from service.operations.upkeep import purge_jobs
from service.operations.vms import (
    adopt_vm,
    confirm_vm,
    create_vm,
    delete_vm,
    force_off_vm,
    migrate_vm,
    pause_vm,
    rename_vm,
    reset_vm,
    resize_vm,
    restore_vms,
    resume_vm,
    shut_down_vm,
    start_vm,
)

OPERATIONS: Mapping[str, Operation] = {
    module.OPERATION.kind: module.OPERATION
    for module in (
        add_host,
        add_pool,
        adopt_vm,
        apply_vm,
        attach_disk,
        change_medium,
        check_host,
        confirm_vm,
        create_vm,
        create_volume,
        delete_image,
        delete_vm,
        delete_volume,
        detach_disk,
        force_off_vm,
        forecast_usage,
        grow_volume,
        import_image,
        migrate_vm,
        observe_hosts,
        observe_storage,
        observe_vms,
        open_vnc,
        pause_vm,
        purge_jobs,
        rename_vm,
        reset_vm,
        resize_vm,
        restore_vms,
        resume_vm,
        shut_down_vm,
        start_vm,
        sweep_images,
        take_screenshot,
    )
}

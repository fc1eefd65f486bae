"""All operations that run as jobs, by kind, and the rounds that the service makes by itself."""

from __future__ import annotations

from collections.abc import Mapping

from service.jobs.operation import Operation
from service.operations import (
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
    delete_vm,
    delete_volume,
    detach_disk,
    force_off_vm,
    forecast_usage,
    grow_volume,
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
    take_screenshot,
)
from service.operations.images import delete_image, import_image, sweep_images

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

"""All operations that run as jobs, by kind, and the rounds that the service makes by itself."""

from __future__ import annotations

from collections.abc import Mapping

from service.jobs.operation import Operation
from service.operations import (
    add_host,
    create_vm,
    delete_image,
    delete_vm,
    force_off_vm,
    import_image,
    migrate_vm,
    observe_hosts,
    observe_storage,
    purge_jobs,
    reset_vm,
    restore_vms,
    shut_down_vm,
    start_vm,
)

OPERATIONS: Mapping[str, Operation] = {
    module.OPERATION.kind: module.OPERATION
    for module in (
        add_host,
        create_vm,
        delete_image,
        delete_vm,
        force_off_vm,
        import_image,
        migrate_vm,
        observe_hosts,
        observe_storage,
        purge_jobs,
        reset_vm,
        restore_vms,
        shut_down_vm,
        start_vm,
    )
}

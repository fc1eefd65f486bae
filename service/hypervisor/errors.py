"""Errors of a hypervisor."""

from __future__ import annotations

from service.errors import ConflictError, InvalidError, NacreError, NotFoundError, UnavailableError


class HostUnreachableError(UnavailableError):
    """The host did not answer within the deadline; the call may have taken effect."""

    default_code = "host.unreachable"


class DomainNotFoundError(NotFoundError):
    """The host has no such domain."""

    default_code = "domain.not_found"


class DomainConflictError(ConflictError):
    """The host has a domain of the same UUID and of another epoch."""

    default_code = "domain.conflict"


class DomainRefusedError(NacreError):
    """The hypervisor refused to start or change the domain; the detail is its message."""

    default_code = "domain.refused"


class MigrationFailedError(NacreError):
    """The guest was not migrated and still runs on its source host."""

    default_code = "migration.failed"


class SpecInvalidError(InvalidError):
    """The domain's description cannot be written as XML that libvirt accepts."""

    default_code = "domain.spec_invalid"


class MigrationUnclearError(UnavailableError):
    """It could not be decided in time where the guest runs; retry the migration later."""

    default_code = "migration.unclear"


class DomainTwiceError(NacreError):
    """The same domain runs on two hosts: an operator or a fence must end one of them.

    Until then both write the same disk.
    """

    default_code = "domain.twice"


class DetachRefusedError(ConflictError):
    """The guest did not release a device in time."""

    default_code = "domain.detach_refused"


class HotAddRefusedError(ConflictError):
    """The running domain cannot be resized that far; the next start can."""

    default_code = "domain.hot_add_refused"


class ConsoleClosedError(ConflictError):
    """The serial console ended: the guest ended or moved, or another client opened it."""

    default_code = "console.closed"

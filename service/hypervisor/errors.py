"""What can go wrong at a hypervisor."""

from __future__ import annotations

from service.errors import ConflictError, InvalidError, NacreError, NotFoundError, UnavailableError


class HostUnreachableError(UnavailableError):
    """The host did not answer within the deadline. What was asked for may have happened all the same."""

    default_code = "host.unreachable"


class DomainNotFoundError(NotFoundError):
    """The host has no such domain."""

    default_code = "domain.not_found"


class DomainConflictError(ConflictError):
    """The host has a domain of the same UUID and of another epoch."""

    default_code = "domain.conflict"


class DomainRefusedError(NacreError):
    """The hypervisor would not start or change the domain; the detail is its own message."""

    default_code = "domain.refused"


class MigrationFailedError(NacreError):
    """The guest was not moved and runs on where it was."""

    default_code = "migration.failed"


class SpecInvalidError(InvalidError):
    """The domain's description cannot be written as XML that libvirt accepts."""

    default_code = "domain.spec_invalid"


class MigrationUnclearError(UnavailableError):
    """Where the guest runs could not be settled in time; looking again later (a repeated migrate) may tell."""

    default_code = "migration.unclear"


class DomainTwiceError(NacreError):
    """The same domain runs on two hosts: its disk is in danger and a person, or a fence, must end one of them."""

    default_code = "domain.twice"


class DetachRefusedError(ConflictError):
    """The guest was asked to let go of a device and has not."""

    default_code = "domain.detach_refused"


class HotAddRefusedError(ConflictError):
    """The running domain cannot be made that size; its next start can."""

    default_code = "domain.hot_add_refused"


class ConsoleClosedError(ConflictError):
    """The serial console has ended: the guest is gone or has moved, or somebody else has opened it."""

    default_code = "console.closed"

"""Models of disks, CD-ROM drives and data volumes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.edge.models import Body, Flag, Id, Instant, Label, ListNamed, Ref, Shown, Trying

Bus = Literal["virtio", "scsi", "sata", "ide"]
PoolName = Annotated[str, Field(min_length=1, max_length=127, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
SizeGib = Annotated[int, Field(ge=1, le=65536)]
VolumeState = Literal["creating", "ready", "deleting"]


class RootDisk(Body):
    """Root disk of a VM; size and pool default to the flavor's size and the VM pool."""

    size_gib: SizeGib | None = None
    pool: PoolName | None = None
    bus: Bus | None = None


class ExtraDisk(Body):
    """Extra disk: blank, or a clone of `image`, with the image's size by default."""

    size_gib: SizeGib | None = None
    image: Ref | None = None
    pool: PoolName | None = None
    bus: Bus | None = None
    name: Label | None = None

    @model_validator(mode="after")
    def _has_a_size(self) -> Self:
        if self.size_gib is None and self.image is None:
            raise ValueError("a blank disk needs size_gib")
        return self


class CdromDrive(Body):
    """CD-ROM drive, empty or with an ISO image."""

    image: Ref | None = None
    bus: Literal["scsi", "sata", "ide"] | None = None


class AttachDisk(Body):
    """Disk to attach: an existing `volume`, or a new disk."""

    volume: Ref | None = None
    size_gib: SizeGib | None = None
    image: Ref | None = None
    pool: PoolName | None = None
    bus: Bus | None = None
    name: Label | None = None

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        made = [name for name in ("size_gib", "image", "pool", "name") if getattr(self, name) is not None]
        if self.volume is not None and made:
            raise ValueError(f"an existing volume has its own {', '.join(made)}")
        if self.volume is None and self.size_gib is None and self.image is None:
            raise ValueError("give a volume, or the size of a new disk")
        return self


class DetachDisk(Body):
    """Disk to detach, by its target or its volume; the volume is kept unless `delete`."""

    disk: Ref
    delete: bool = False


class GrowDisk(Body):
    """Disk to grow, by its target or its volume's name or id; also the root disk."""

    disk: Ref
    size_gib: SizeGib


class InsertMedium(Body):
    """ISO image to insert into a drive (by target), the first drive by default."""

    image: Ref
    drive: Ref | None = None


class EjectMedium(Body):
    """Drive (by target) to empty, the first drive by default."""

    drive: Ref | None = None


class CreateVolume(ExtraDisk):
    """Data volume to create."""

    name: Label


class GrowVolume(Body):
    """New size."""

    size_gib: SizeGib


class ListVolumes(ListNamed):
    """Filters of the list of volumes."""

    vm: Ref | None = None
    pool: PoolName | None = None
    state: VolumeState | None = None


class DeleteVm(Trying):
    """Query of a VM's deletion."""

    keep_disks: Flag = Field(default=False, description="Keep the data disks as volumes of the project.")


class ShownVmVolume(Shown):
    """Block device of a VM."""

    id: Id
    name: str | None
    role: Literal["root", "data", "seed", "nvram", "medium"]
    target: str | None
    bus: Bus
    pool: str
    storage_name: str
    size_bytes: int
    image: str | None
    state: VolumeState


class ShownDrive(Shown):
    """CD-ROM drive of a VM."""

    target: str
    bus: Bus
    image: str | None


class ShownVolume(Shown):
    """Data volume, with the VM that it is attached to."""

    id: Id
    name: str
    state: VolumeState
    vm: str | None
    target: str | None
    bus: Bus
    pool: str
    size_bytes: int
    image: str | None
    project_id: Id
    created_at: Instant

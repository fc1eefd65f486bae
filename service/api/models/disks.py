"""Disks of VMs, CD-ROM drives, and volumes as objects of their own."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.edge.models import Body, Flag, Id, Instant, Label, ListNamed, Ref, Shown, Trying

Bus = Literal["virtio", "scsi", "sata", "ide"]
PoolName = Annotated[str, Field(min_length=1, max_length=127, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
SizeGib = Annotated[int, Field(ge=1, le=65536)]
VolumeState = Literal["creating", "ready", "deleting"]


class RootDisk(Body):
    """The disk that the VM boots from; its size is the flavor's unless told. `pool` is the usual one unless told."""

    size_gib: SizeGib | None = None
    pool: PoolName | None = None
    bus: Bus | None = None


class ExtraDisk(Body):
    """One more disk: blank, or a clone of `image`, whose size it has unless told."""

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
    """A CD-ROM drive, empty or with an ISO image in it."""

    image: Ref | None = None
    bus: Literal["scsi", "sata", "ide"] | None = None


class AttachDisk(Body):
    """A disk to give to a VM: `volume` names one that is there; else it is made, as an extra disk at create is."""

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
            raise ValueError(f"a volume that is there has its own {', '.join(made)}")
        if self.volume is None and self.size_gib is None and self.image is None:
            raise ValueError("name a volume, or say how large a new disk shall be")
        return self


class DetachDisk(Body):
    """A disk by its target, or by its volume's name or id; the volume is kept unless `delete`."""

    disk: Ref
    delete: bool = False


class GrowDisk(Body):
    """A disk, the root too, by its target, or by its volume's name or id."""

    disk: Ref
    size_gib: SizeGib


class InsertMedium(Body):
    """An ISO image for a drive, by its target; the first one when none is named."""

    image: Ref
    drive: Ref | None = None


class EjectMedium(Body):
    """A drive by its target; the first one when none is named."""

    drive: Ref | None = None


class CreateVolume(ExtraDisk):
    """A volume that is on no VM."""

    name: Label


class GrowVolume(Body):
    """How large it shall be."""

    size_gib: SizeGib


class ListVolumes(ListNamed):
    """Which volumes to list."""

    vm: Ref | None = None
    pool: PoolName | None = None
    state: VolumeState | None = None


class DeleteVm(Trying):
    """What becomes of the data disks."""

    keep_disks: Flag = Field(default=False, description="Keep the data disks as volumes of the project.")


class ShownVmVolume(Shown):
    """A VM's block device."""

    id: Id
    name: str | None
    role: Literal["root", "data", "seed", "nvram", "medium"]
    target: str | None
    bus: Bus
    pool: str
    rbd_name: str
    size_bytes: int
    image: str | None
    state: VolumeState


class ShownDrive(Shown):
    """A VM's CD-ROM drive."""

    target: str
    bus: Bus
    image: str | None


class ShownVolume(Shown):
    """A data volume, and the VM that it is on, if it is on one."""

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

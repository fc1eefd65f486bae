"""Settings, read once at start and never changed: a TOML file, overridden by NACRE_* environment variables."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

DEFAULT_PATH = Path("/etc/nacre/settings.toml")
PLACEMENT_WEIGHTS = {"cpu_headroom": 0.3, "memory_headroom": 0.3, "osd_latency": 0.3, "osds_up": 0.1}


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("an absolute path is needed: the service may be started anywhere")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """Everything that an operator may set. Paths are absolute; sizes and times carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix="NACRE_", extra="forbid", frozen=True)

    state_dir: AbsolutePath
    database_url: str = ""
    listen_address: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=1, le=65535)] = 8470
    http_threads: Annotated[int, Field(ge=4, le=512)] = 64
    upload_slots: Annotated[int, Field(ge=1, le=512)] = 8
    wait_slots: Annotated[int, Field(ge=1, le=512)] = 24
    max_wait_s: Annotated[float, Field(gt=0, le=300)] = 60.0
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1 << 20
    worker_threads: Annotated[int, Field(ge=1, le=256)] = 8

    ceph_conf: AbsolutePath = Path("/etc/ceph/ceph.conf")
    ceph_keyring: AbsolutePath = Path("/etc/ceph/ceph.client.nacre.keyring")
    ceph_client: str = "client.nacre"
    ceph_secret_uuid: str = ""  # of the libvirt secret that holds each host's own cephx key
    image_pool: str = "images"
    vm_pool: str = "vms"

    libvirt_pki: AbsolutePath = Path("/etc/nacre/pki")
    migration_tls: bool = True
    guest_cpu_model: str = ""

    facts_interval_s: Annotated[float, Field(gt=0)] = 10.0
    facts_max_age_s: Annotated[float, Field(gt=0)] = 60.0
    memory_overhead_mib: Annotated[int, Field(ge=0)] = 64
    placement_weights: dict[str, float] = PLACEMENT_WEIGHTS

    upload_dir: AbsolutePath | None = None
    server_image_dir: AbsolutePath | None = None
    max_image_bytes: Annotated[int, Field(ge=1)] = 1 << 40

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (whose values arrive as arguments)."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @field_validator("placement_weights")
    @classmethod
    def _known_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(weights) - set(PLACEMENT_WEIGHTS))
        if unknown:
            raise ValueError(f"unknown scorer {', '.join(unknown)}: known are {', '.join(PLACEMENT_WEIGHTS)}")
        if not all(0 <= weight < math.inf for weight in weights.values()) or sum(weights.values()) <= 0:
            raise ValueError("weights are finite numbers, 0 or more, and at least one is more than 0")
        return weights

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.wait_slots >= self.http_threads:
            raise ValueError("wait_slots must leave http_threads free: waiting calls hold a thread each")
        if self.facts_max_age_s <= self.facts_interval_s:
            raise ValueError("facts_max_age_s must be more than facts_interval_s, or every host is always too old")
        return self

    @property
    def database(self) -> str:
        """The database's URL; SQLite in the state folder unless set."""
        return self.database_url or f"sqlite:///{self.state_dir / 'nacre.db'}"

    @property
    def uploads(self) -> Path:
        """Where an image's bytes lie between the upload and the import."""
        return self.upload_dir or self.state_dir / "uploads"


def load_settings(path: Path) -> Settings:
    """Read the TOML file; environment variables win. Raises pydantic.ValidationError, OSError, TOMLDecodeError."""
    with path.open("rb") as file:
        return Settings(**tomllib.load(file))

"""Settings: a TOML file, overridden by NACRE_* environment variables.

They are read once at start and never changed.
"""

from __future__ import annotations

import math
import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service import algorithm_names

DEFAULT_PATH = Path("/etc/nacre/settings.toml")
# A longer body is read by a thread, so each such request holds one of the upload slots.
READ_AHEAD_BYTES = 128 << 10


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("give an absolute path: the service may be started in any folder")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
OsdNeed = Annotated[float, Field(ge=0, le=64)]


class Settings(BaseSettings):
    """Settings of the service. Paths are absolute; names carry the unit."""

    model_config = SettingsConfigDict(env_prefix="NACRE_", extra="forbid", frozen=True)

    state_dir: AbsolutePath
    database_url: str = ""
    database_connections: Annotated[int, Field(ge=2, le=512)] = 16  # per process, PostgreSQL only
    listen_address: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=1, le=65535)] = 8470
    console_listen_address: str = ""  # of the console process; listen_address unless set
    console_port: Annotated[int, Field(ge=0, le=65535)] = 8471
    console_url: str = ""  # URL for clients, such as wss://cloud.example.org
    console_slots: Annotated[int, Field(ge=1, le=1024)] = 64  # four threads each
    console_origins: tuple[str, ...] = ()  # origins of other pages that may open consoles: https://cloud.example.org
    http_threads: Annotated[int, Field(ge=4, le=512)] = 64
    upload_slots: Annotated[int, Field(ge=1, le=512)] = 8
    wait_slots: Annotated[int, Field(ge=1, le=512)] = 24
    stream_slots: Annotated[int, Field(ge=1, le=512)] = 16
    login_slots: Annotated[int, Field(ge=1, le=64)] = 4  # each uses a core while it hashes
    login_ttl_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 8 * 3600
    max_wait_s: Annotated[float, Field(gt=0, le=300)] = 60.0
    response_cache_bytes: Annotated[int, Field(ge=0)] = 64 << 20  # cache of answers to reads, valid until a commit
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1 << 20
    history_days: Annotated[float, Field(gt=0)] = 30.0  # of finished jobs, decisions and events
    idempotency_hours: Annotated[float, Field(gt=0)] = 24.0
    max_events: Annotated[int, Field(ge=1000)] = 1_000_000
    metrics_database: str = ""
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
    placement_algorithm: Annotated[str, AfterValidator(algorithm_names.check)] = "storage_cpu"
    placement_weights: dict[str, float] = Field(default_factory=dict)  # of placement_algorithm; empty: its defaults
    placement_exec_timeout_s: Annotated[float, Field(gt=0, le=5)] = 2.0  # then an exec: algorithm is killed
    placement_keep_room: bool = False  # reserve as much as the largest host has, so that a host may fail
    vcpu_ratio: Annotated[float, Field(ge=0.1, le=64)] = 1.0  # vCPUs per thread; a host group may override it
    memory_ratio: Annotated[float, Field(ge=0.1, le=4)] = 1.0  # beyond 1 limited to the measured savings of KSM
    osd_memory_factor: OsdNeed = 1.2  # times osd_memory_target is reserved on a host for its OSDs
    osd_vcpus: OsdNeed = 1.0  # reserved for each OSD
    osd_recovery_memory_factor: OsdNeed = 1.5  # the same while placement groups of the host recover
    osd_recovery_vcpus: OsdNeed = 2.0
    facts_archive_hours: Annotated[float, Field(gt=0)] = 24.0  # retention of the facts of decisions
    facts_archive_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 30  # at most so much of them
    max_migrations_per_host: Annotated[int, Field(ge=1, le=64)] = 2  # in flight, counted on both ends

    secret_key_file: AbsolutePath | None = None
    upload_dir: AbsolutePath | None = None
    server_image_dir: AbsolutePath | None = None
    max_image_bytes: Annotated[int, Field(ge=1)] = 1 << 40
    upload_dir_bytes: Annotated[int, Field(ge=1)] = 512 << 30  # all files in upload_dir, packed and unpacked
    project_upload_bytes: Annotated[int, Field(ge=1)] = 128 << 30  # of all unfinished uploads of a project
    upload_life_s: Annotated[float, Field(gt=0)] = 86400.0  # after the last received byte
    unpack_timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    fetch_timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    fetch_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (80, 443, 8080, 8443)
    fetch_networks: tuple[IPv4Network | IPv6Network, ...] = ()  # private networks that images may be fetched from
    cluster_networks: tuple[IPv4Network | IPv6Network, ...] = ()  # never fetched from, overrides fetch_networks

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose values arrive as arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @field_validator("placement_weights")
    @classmethod
    def _known_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(weights) - set(algorithm_names.TERMS))
        if unknown:
            raise ValueError(f"unknown term {', '.join(unknown)}: known are {', '.join(algorithm_names.TERMS)}")
        if not all(0 <= weight < math.inf for weight in weights.values()):
            raise ValueError("weights must be finite numbers, 0 or more")
        if weights and not any(weights.values()):
            raise ValueError("at least one weight must be more than 0")
        return weights

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.wait_slots + self.stream_slots + self.upload_slots >= self.http_threads:
            raise ValueError(
                "wait_slots, stream_slots and upload_slots must leave http_threads free: each holds a thread"
            )
        if self.facts_max_age_s <= self.facts_interval_s:
            raise ValueError("facts_max_age_s must be more than facts_interval_s, or every host is always stale")
        return self

    @property
    def database(self) -> str:
        """URL of the database; by default SQLite in the state folder."""
        return self.database_url or f"sqlite:///{self.state_dir / 'nacre.db'}"

    @property
    def console_base(self) -> str:
        """Base URL of websockets."""
        address = self.console_listen_address or self.listen_address
        return self.console_url.rstrip("/") or f"ws://{address}:{self.console_port}"

    @property
    def secret_key_path(self) -> Path:
        """Path of the control plane's secret key, the same for all its processes."""
        return self.secret_key_file or self.state_dir / "secret.key"

    @property
    def metrics(self) -> str:
        """URL of the database of measurements.

        It is separate so that its many small writes hold up no other transaction.
        """
        return self.metrics_database or f"sqlite:///{self.state_dir / 'metrics.db'}"

    @property
    def facts_journal(self) -> str:
        """URL of this machine's database of the facts of decisions."""
        return f"sqlite:///{self.state_dir / 'facts.db'}"

    @property
    def uploads(self) -> Path:
        """Folder of image files between upload and import."""
        return self.upload_dir or self.state_dir / "uploads"


def load_settings(path: Path) -> Settings:
    """Read the TOML file and the environment, which wins.

    Raises pydantic.ValidationError, OSError, TOMLDecodeError.
    """
    with path.open("rb") as file:
        return Settings(**tomllib.load(file))

"""Transfer of an image file from a URL or the server's folder to the uploads."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

from service.context import Context
from service.db import queries
from service.db.tables import Host, Network
from service.errors import InvalidError
from service.network.fetch import Fetcher
from service.network.remote_url import Network as Range
from service.network.remote_url import Reach
from service.operations.images import content, files

Look = Callable[[int], None]


def fetcher(ctx: Context) -> Fetcher:
    """Return a fetcher that refuses the cloud's own hosts, guests and control plane."""
    settings = ctx.settings
    return Fetcher(
        outside=ctx.outside,
        reach=Reach(allowed=settings.fetch_networks, own=_own(ctx)),
        ports=settings.fetch_ports,
        max_bytes=settings.max_image_bytes,
        timeout_s=settings.fetch_timeout_s,
        monotonic=ctx.clock.monotonic,
    )


def fetch(ctx: Context, url: str, target: Path, look: Look) -> int:
    """Download the URL into `target`, which is created again; return the bytes.

    Raises InvalidError (`url.*`).
    """
    files.empty(target)
    with fetcher(ctx).open(url) as remote, target.open("r+b") as file, files.room():
        if remote.size_bytes:
            files.check_room(ctx, remote.size_bytes)
        for chunk in remote.chunks():
            file.write(chunk)
            look(file.tell())
        return file.tell()


def copy(source: Path, target: Path, look: Look) -> int:
    """Copy a file of the server and return its bytes; only the copy is inspected."""
    files.empty(target, source.stat().st_size)
    with target.open("r+b") as file, files.room():
        for offset, data in content.written_chunks(source):
            file.seek(offset)
            file.write(data)
            look(offset)
    return target.stat().st_size


def server_file(ctx: Context, path: str) -> Path:
    """Return the path of a file in the server's image folder.

    Raises InvalidError (`image.no_server_folder`, `image.no_server_file`).
    """
    folder = ctx.settings.server_image_dir
    if folder is None:
        raise InvalidError("The server has no image folder: set server_image_dir.", code="image.no_server_folder")
    try:
        file = (folder / path).resolve()
        if file.is_relative_to(folder.resolve()) and file.is_file():
            return file
    except (OSError, RuntimeError) as failure:  # a name too long, an unreadable folder, a loop of links
        raise _no_server_file(path) from failure
    raise _no_server_file(path)


def _no_server_file(path: str) -> InvalidError:
    detail = f"There is no file '{path[: queries.LONGEST_ECHO]}' in the server's image folder."
    return InvalidError(detail, code="image.no_server_file")


def _own(ctx: Context) -> tuple[Range, ...]:
    hosts = [ip_network(host.address) for host in Host.select(Host.address)]
    guests = [ip_network(network.cidr) for network in Network.select(Network.cidr)]
    return (*ctx.settings.cluster_networks, *hosts, *guests, *_listening(ctx.settings.listen_address))


def _listening(text: str) -> tuple[Range, ...]:
    try:
        address = ip_address(text)
    except ValueError:  # a name: Outside.is_own() checks its addresses
        return ()
    return () if address.is_unspecified else (ip_network(address),)

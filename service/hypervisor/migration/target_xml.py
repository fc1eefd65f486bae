"""XML of a migrating domain on its target: host-specific parts are replaced."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from lxml import etree

from service.hypervisor import schema


def graft(live: str, rendered: str) -> str:
    """`live` (the source's migratable XML, with the PCI addresses the guest knows) with the host's part of `rendered`.

    The host's part: metadata, console address, bridge of each card, and how the host reaches every block device over a
    network, also one that `rendered` does not know. Rendering afresh alone would not do: devices plugged in since the
    start, and a CPU that libvirt has spelled out, must stay as they are.
    """
    domain, wanted = schema.parse(live), schema.parse(rendered)
    for path in ("title", "metadata", "devices/graphics"):
        _replace(domain, path, wanted)
    for disk in domain.findall("devices/disk"):
        for outdated in disk.findall("auth"):  # libvirt accepts it there, too
            disk.remove(outdated)
    theirs = list(wanted.iterfind(".//source[@protocol]"))
    for source in domain.iterfind(".//source[@protocol]"):
        _replace_access(source, theirs)
    for card, twin in _pairs(domain, wanted, "devices/interface", "mac", "address"):
        _replace(card, "source", twin)
    return etree.tostring(domain, encoding="unicode")


def _replace(domain: etree._Element, path: str, wanted: etree._Element) -> None:
    old, new = domain.find(path), wanted.find(path)
    if old is not None and new is not None:
        parent = old.getparent()
        if parent is not None:
            parent.replace(old, new)


def _replace_access(source: etree._Element, theirs: list[etree._Element]) -> None:
    """Take configuration and identity from the same device of the target, or else from any of the same protocol.

    Which block device it is stays as the guest has it.
    """
    alike = [other for other in theirs if other.get("protocol") == source.get("protocol")]
    twin = next((other for other in alike if other.get("name") == source.get("name")), alike[0] if alike else None)
    if twin is None:
        return
    for outdated in _access(source):
        source.remove(outdated)
    source.extend(copy.deepcopy(element) for element in _access(twin))


def _access(source: etree._Element) -> list[etree._Element]:
    return [*source.findall("config"), *source.findall("auth")]


def _pairs(
    domain: etree._Element, wanted: etree._Element, path: str, child: str, attribute: str
) -> Iterator[tuple[etree._Element, etree._Element]]:
    """Yield pairs of elements of both documents with the same key."""
    theirs = {_key(element, child, attribute): element for element in wanted.findall(path)}
    for element in domain.findall(path):
        twin = theirs.get(_key(element, child, attribute))
        if twin is not None:
            yield element, twin


def _key(element: etree._Element, child: str, attribute: str) -> str:
    found = element.find(child)
    return "" if found is None else found.get(attribute, "")

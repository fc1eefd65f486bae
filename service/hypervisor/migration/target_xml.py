"""The XML a migrating domain gets on its target: the guest's own view unchanged, what belongs to a host replaced."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from service.hypervisor import schema
from service.hypervisor.spec import CephAccess


def graft(live: str, rendered: str, ceph: CephAccess) -> str:
    """`live` (the source's migratable XML, with the PCI addresses the guest knows) with the host's part of `rendered`.

    The host's part: metadata, console address, bridge of each card, and the Ceph identity of every block device, also
    of one that `rendered` does not know. Rendering afresh alone would not do: devices plugged in since the start, and a
    CPU that libvirt has spelled out, must stay as they are.
    """
    domain, wanted = schema.parse(live), schema.parse(rendered)
    for path in ("title", "metadata", "devices/graphics"):
        _replace(domain, path, wanted)
    for disk in domain.findall("devices/disk"):
        for outdated in disk.findall("auth"):  # where libvirt takes it too
            disk.remove(outdated)
    for source in domain.iterfind(".//source[@protocol='rbd']"):
        _replace_access(source, ceph)
    for ours, theirs in _pairs(domain, wanted, "devices/interface", "mac", "address"):
        _replace(ours, "source", theirs)
    return etree.tostring(domain, encoding="unicode")


def _replace(domain: etree._Element, path: str, wanted: etree._Element) -> None:
    old, new = domain.find(path), wanted.find(path)
    if old is not None and new is not None:
        parent = old.getparent()
        if parent is not None:
            parent.replace(old, new)


def _replace_access(source: etree._Element, ceph: CephAccess) -> None:
    """How to reach Ceph is the host's; which block device it is, is the guest's."""
    for outdated in [*source.findall("config"), *source.findall("auth")]:
        source.remove(outdated)
    etree.SubElement(source, "config", file=ceph.conf_path)
    auth = etree.SubElement(source, "auth", username=ceph.user)
    etree.SubElement(auth, "secret", type="ceph", uuid=ceph.secret_uuid)


def _pairs(
    domain: etree._Element, wanted: etree._Element, path: str, child: str, attribute: str
) -> Iterator[tuple[etree._Element, etree._Element]]:
    """Elements of both documents that carry the same key."""
    theirs = {_key(element, child, attribute): element for element in wanted.findall(path)}
    for element in domain.findall(path):
        twin = theirs.get(_key(element, child, attribute))
        if twin is not None:
            yield element, twin


def _key(element: etree._Element, child: str, attribute: str) -> str:
    found = element.find(child)
    return "" if found is None else found.get(attribute, "")

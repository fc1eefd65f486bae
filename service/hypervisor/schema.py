"""XML text to a checked tree: a parser that follows nothing outside the text, and libvirt's own RELAX NG schema."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock

from lxml import etree

from service.hypervisor.errors import SpecInvalidError

DOMAIN_SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")  # Debian: package libvirt0
_validating = Lock()  # a compiled schema keeps its last error log


def parse(xml: str | bytes) -> etree._Element:
    """The root element; comments are dropped, entities and networks never followed. Raises SpecInvalidError."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        return etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SpecInvalidError(f"the domain's XML does not parse: {error}") from error


def validate(root: etree._Element) -> None:
    """Check against libvirt's schema where it is installed. Raises SpecInvalidError with the first complaint."""
    if not DOMAIN_SCHEMA.is_file():
        return
    with _validating:
        schema = _schema()
        if not schema.validate(root):
            complaint = schema.error_log[0].message if len(schema.error_log) else "no reason given"
            raise SpecInvalidError(f"the domain's XML is not what libvirt's schema allows: {complaint}")


@cache
def _schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(DOMAIN_SCHEMA)))

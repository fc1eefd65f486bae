"""A small certificate authority in one folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nacre_pki
short_description: Keep a certificate authority and the certificates it issued
description:
  - Makes the authority once, and a certificate (ECDSA P-256) when it is missing, asked for differently or near its end.
  - Keeps C(ca-cert.pem), C(ca-key.pem) and per certificate C(NAME-cert.pem), C(NAME-key.pem) and C(NAME.ext), which is
    what was asked for. Everything is readable by its owner only.
options:
  folder: {type: path, required: true, description: Where everything lies; made with mode 0700.}
  authority: {type: str, required: true, description: The authority's common name.}
  days: {type: int, default: 825, description: How long a certificate lasts; the authority lasts ten years.}
  renew_days: {type: int, default: 90, description: How many days before its end a certificate is issued anew.}
  certificates:
    description: What is wanted.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {type: str, required: true, description: File and common name.}
      alternatives:
        description: Subject alternative names, such as C(DNS:host1) or C(IP:192.0.2.1).
        type: list
        elements: str
        default: []
      usage: {type: list, elements: str, default: [clientAuth], description: Extended key usage.}
author: Nacre
"""

EXAMPLES = r"""
- name: One client certificate
  nacre_pki: {folder: /srv/pki, authority: Example CA, certificates: [{name: control}]}
"""

RETURN = r"""
issued: {description: What was made now., type: list, elements: str, returned: always}
"""

AUTHORITY_DAYS = 3650
DAY_S = 86400
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
AUTHORITY_CONFIG = """[req]
distinguished_name = name
x509_extensions = extensions
[name]
[extensions]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""


@dataclass(frozen=True)
class Wanted:
    """One certificate as asked for."""

    name: str
    alternatives: tuple[str, ...]
    usage: tuple[str, ...]

    @property
    def extensions(self) -> str:
        lines = [
            "basicConstraints = critical,CA:FALSE",
            "keyUsage = critical,digitalSignature,keyEncipherment",
            f"extendedKeyUsage = {','.join(self.usage)}",
        ]
        lines += [f"subjectAltName = {','.join(self.alternatives)}"] if self.alternatives else []
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Authority:
    """The authority's folder, and openssl run in it."""

    module: AnsibleModule
    folder: str
    days: int
    renew_days: int

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def openssl(self, *words: str) -> None:
        self.module.run_command(["openssl", *words], check_rc=True, cwd=self.folder)

    def exists(self) -> bool:
        return os.path.exists(self.path("ca-cert.pem"))

    def create(self, common_name: str) -> None:
        """The certificate is renamed into place last: with it, the authority exists."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".cnf") as config:
            config.write(AUTHORITY_CONFIG)
            config.flush()
            asked = ["-subj", f"/CN={common_name}", "-config", config.name, "-days", str(AUTHORITY_DAYS)]
            self.openssl("req", "-x509", *NEW_KEY, *asked, "-keyout", "ca-key.pem", "-out", "ca-cert.pem.new")
        os.replace(self.path("ca-cert.pem.new"), self.path("ca-cert.pem"))

    def lacks(self, wanted: Wanted) -> bool:
        """Whether the certificate is missing, was asked for differently, or ends soon."""
        certificate, asked = self.path(f"{wanted.name}-cert.pem"), self.path(f"{wanted.name}.ext")
        if not os.path.exists(certificate) or not os.path.exists(asked):
            return True
        with open(asked, encoding="utf-8") as file:
            if file.read() != wanted.extensions:
                return True
        check = ["openssl", "x509", "-in", certificate, "-noout", "-checkend", str(self.renew_days * DAY_S)]
        return bool(self.module.run_command(check)[0])

    def issue(self, wanted: Wanted) -> None:
        """A new key and certificate; what was asked for is written last, so that a cut-short issue is repeated."""
        name, key, serial = wanted.name, f"{wanted.name}-key.pem", str(secrets.randbits(127) + 1)
        with open(self.path(f"{name}.ext.new"), "w", encoding="utf-8") as file:
            file.write(wanted.extensions)
        self.openssl("req", "-new", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", f"{name}.csr")
        signed = ["-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-set_serial", serial, "-days", str(self.days)]
        asked = ["-in", f"{name}.csr", "-extfile", f"{name}.ext.new"]
        self.openssl("x509", "-req", *asked, *signed, "-out", f"{name}-cert.pem")
        os.unlink(self.path(f"{name}.csr"))
        os.replace(self.path(f"{name}.ext.new"), self.path(f"{name}.ext"))


def fulfil(authority: Authority, params: dict[str, Any], check: bool) -> list[str]:
    """Make what is missing; the names of what was made, or would be."""
    wanted = [Wanted(c["name"], tuple(c["alternatives"]), tuple(c["usage"])) for c in params["certificates"]]
    fresh = not authority.exists()
    lacking = wanted if fresh else [one for one in wanted if authority.lacks(one)]
    if not check:
        if fresh:
            authority.create(params["authority"])
        for one in lacking:
            authority.issue(one)
    return [*(["authority"] if fresh else []), *(one.name for one in lacking)]


def main() -> None:
    certificate = {
        "name": {"type": "str", "required": True},
        "alternatives": {"type": "list", "elements": "str", "default": []},
        "usage": {"type": "list", "elements": "str", "default": ["clientAuth"]},
    }
    spec = {
        "folder": {"type": "path", "required": True},
        "authority": {"type": "str", "required": True},
        "days": {"type": "int", "default": 825},
        "renew_days": {"type": "int", "default": 90},
        "certificates": {"type": "list", "elements": "dict", "required": True, "options": certificate},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    os.umask(0o077)  # every file here is its owner's only
    params = module.params
    authority = Authority(module, params["folder"], params["days"], params["renew_days"])
    issued = fulfil(authority, params, module.check_mode)
    after = "".join(f"certificate {name}\n" for name in issued)
    module.exit_json(changed=bool(issued), issued=issued, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()

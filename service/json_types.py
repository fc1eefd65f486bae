"""Types of JSON data. mypy checks no further: data from outside is checked by models, data of ours by codecs."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any  # None, bool, int, float, str, and lists and dicts of them
JsonObject: TypeAlias = dict[str, Any]

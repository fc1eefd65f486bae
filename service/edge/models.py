"""Field types and base classes of models."""

from __future__ import annotations

import math
import re
import uuid
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

MIB = 1 << 20
GIB = 1 << 30

HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# Control and invisible characters: databases reject NUL, and some of these reorder text on a terminal.
INVISIBLE = r"\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\ufffb"
WHOLE = re.compile(r"[0-9]{1,9}")


def _not_an_id(text: str) -> str:
    """Reject a name that is a UUID, because it could equal another object's id."""
    try:
        uuid.UUID(text)
    except ValueError:
        return text
    raise ValueError("a name must not be a UUID")


def _hostname(text: str) -> str:
    if not HOSTNAME.fullmatch(text):
        raise ValueError("1 to 63 of a-z, 0-9 and '-', not at either end")
    return _not_an_id(text)


def _label(text: str) -> str:
    if not LABEL.fullmatch(text):
        raise ValueError("1 to 63 of letters, digits, '.', '_' and '-', starting with a letter or digit")
    return _not_an_id(text)


def _user(text: str) -> str:
    if not USER.fullmatch(text) or text == "root":
        raise ValueError("a user name: 1 to 32 of a-z, 0-9, '_' and '-', not starting with a digit, and not root")
    return text


def _text(value: object) -> object:
    """Reject non-text values: Python also converts numbers and true to addresses."""
    if not isinstance(value, str):
        raise ValueError("text")  # noqa: TRY004 - pydantic reports the text of a ValueError
    return value


def _whole(text: object) -> object:
    """Convert a query parameter of digits to int; reject other text."""
    if not isinstance(text, str):
        return text
    if not WHOLE.fullmatch(text):
        raise ValueError("a whole number")
    return int(text)


def _flag(text: object) -> object:
    if not isinstance(text, str):
        return text
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _seconds(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError("a number of seconds, 0 or more")
    return seconds


Hostname = Annotated[
    str, AfterValidator(_hostname), WithJsonSchema({"type": "string", "pattern": f"^{HOSTNAME.pattern}$"})
]
Label = Annotated[str, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^{LABEL.pattern}$"})]
UserName = Annotated[str, AfterValidator(_user), WithJsonSchema({"type": "string", "pattern": f"^{USER.pattern}$"})]
Ref = Annotated[str, Field(pattern=r"^[!-~]{1,63}$")]  # a name or an id of any kind
Line = Annotated[str, Field(pattern=rf"^[^\x00-\x1f{INVISIBLE}]*$")]  # free text of one line; give it a max_length
Text = Annotated[str, Field(pattern=rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f{INVISIBLE}]*$")]  # of several; give it one, too
Address = Annotated[IPv4Address, Field(strict=False), BeforeValidator(_text)]
Subnet = Annotated[IPv4Network, Field(strict=False), BeforeValidator(_text)]
Vcpus = Annotated[int, Field(ge=1, le=1024)]
MemoryMib = Annotated[int, Field(ge=64, le=64 << 20)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# In a query, where everything is text.
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_whole)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]

# In an answer.
Id = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Instant = Annotated[str, Field(pattern=r"Z$"), WithJsonSchema({"type": "string", "format": "date-time"})]

JobState = Literal["queued", "waiting", "running", "succeeded", "failed", "cancelled"]


class Body(BaseModel):
    """Base of request bodies: unknown fields are rejected, types are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class NoQuery(BaseModel):
    """Base of queries, and query of public routes; unknown parameters are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Query(NoQuery):
    """Query of a route with a token, by default."""

    project: Ref | None = Field(default=None, description="Project to work in, by id or name.")


class Waiting(Query):
    """Query of every route that may return a job."""

    wait: Seconds = Field(default=0.0, description="Seconds to wait for the end of the job.")


class Trying(Waiting):
    """Query of every request that creates a job."""

    dry_run: Flag = Field(default=False, description="Run all checks and return what would be done; change nothing.")


class Listing(Query):
    """Query of a list; each list defines its values of `sort`, `-` reverses the order."""

    limit: Annotated[Count, Field(ge=1, le=500)] = Field(default=100, description="Maximum number of items on a page.")
    page_token: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="The next_page_token of the previous page, with the same sort and filters."
    )
    sort: str = "name"


class ListNamed(Listing):
    """Query of a list of objects with a name and a creation time."""

    sort: Literal["name", "-name", "created_at", "-created_at"] = "name"
    name: Ref | None = None


class ListByTime(Listing):
    """Query of a list of entries by time."""

    sort: Literal["created_at", "-created_at"] = "-created_at"


class Shown(BaseModel):
    """Base of all responses.

    Handlers build plain dicts, which is faster; tests validate every response against its model. `is_job` marks the
    model of a job: a request that answers with one takes `dry_run`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    is_job: ClassVar[bool] = False


Item = TypeVar("Item", bound=Shown)


class Page(Shown, Generic[Item]):
    """Page of a list."""

    items: list[Item]
    next_page_token: str | None = Field(description="Value of `page_token` for the next page; null on the last page.")


class Named(Shown):
    """Id and name of an object."""

    id: Id
    name: str

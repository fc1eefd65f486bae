"""What a request may see: the projects that are visible to it, and the one that it works in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peewee import Expression

from service.db.tables import Image, ImageShare, Project
from service.errors import InvalidError

NOT_NAMED = "You work in several projects, or in none: name one with '?project=' ('nacre --project')."


@dataclass(frozen=True, slots=True)
class Scope:
    """`project_id` is where names are looked up and new objects go; `visible` None means every project."""

    project_id: str | None
    visible: frozenset[str] | None

    def sees(self, project_id: str | None) -> bool:
        """Whether what belongs to that project may be seen. The cloud's own (None) is for those who see everything."""
        return self.visible is None or project_id in self.visible

    def home(self) -> str:
        """The project to work in. Raises InvalidError (`project.not_named`) when it is not clear which."""
        if self.project_id is None:
            raise InvalidError(NOT_NAMED, code="project.not_named")
        return self.project_id

    def owns(self, table: Any) -> Expression | None:
        """The condition on rows of visible projects; None when that is all of them."""
        return None if self.visible is None else table.project_id.in_(sorted(self.visible))

    def may_read(self, table: Any) -> Expression | None:
        """As owns(), and images that are public or shared with a visible project too; of projects the visible ones."""
        if table is Project:
            return None if self.visible is None else Project.id.in_(sorted(self.visible))
        owned = self.owns(table)
        if owned is None or table is not Image:
            return owned
        shared = ImageShare.select(ImageShare.image).where(ImageShare.project.in_(sorted(self.visible or ())))
        return owned | (Image.visibility == "public") | ((Image.visibility == "shared") & Image.id.in_(shared))


NOTHING = Scope(project_id=None, visible=frozenset())
EVERYTHING = Scope(project_id=None, visible=None)

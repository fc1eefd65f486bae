"""Scope of a request: its visible projects and its own one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peewee import Expression

from service.db.tables import Image, ImageShare, Project
from service.errors import InvalidError

NOT_NAMED = "You are a member of several projects, or of none: name one with '?project=' ('nacre --project')."


@dataclass(frozen=True, slots=True)
class Scope:
    """Visible projects (None: all), and the project of names and new objects."""

    project_id: str | None
    visible: frozenset[str] | None

    def sees(self, project_id: str | None) -> bool:
        """Return True if objects of that project are visible.

        Objects of the cloud itself (None) are visible to those who see every project.
        """
        return self.visible is None or project_id in self.visible

    def home(self) -> str:
        """Project of the request. Raises InvalidError (`project.not_named`) if ambiguous."""
        if self.project_id is None:
            raise InvalidError(NOT_NAMED, code="project.not_named")
        return self.project_id

    def owns(self, table: Any) -> Expression | None:
        """Return the condition on rows of visible projects; None for all rows."""
        return None if self.visible is None else table.project_id.in_(sorted(self.visible))

    def may_read(self, table: Any) -> Expression | None:
        """Return the condition on readable rows; None for all rows.

        In addition to owns(): images that are public or shared with a visible project, and visible projects.
        """
        if table is Project:
            return None if self.visible is None else Project.id.in_(sorted(self.visible))
        owned = self.owns(table)
        if owned is None or table is not Image:
            return owned
        shared = ImageShare.select(ImageShare.image).where(ImageShare.project.in_(sorted(self.visible or ())))
        return owned | (Image.visibility == "public") | ((Image.visibility == "shared") & Image.id.in_(shared))


NOTHING = Scope(project_id=None, visible=frozenset())
EVERYTHING = Scope(project_id=None, visible=None)

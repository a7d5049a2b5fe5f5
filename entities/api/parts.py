"""What hangs on an entity and has an id of its own: it is in reach as long as that entity is."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model
from rest_framework.exceptions import PermissionDenied

from entities.api.base import EntityView
from entities.api.ids import read_id
from entities.models import Entity
from entities.scoping import Grant

#: An id that no entity has.
NOBODY = UUID(int=0)


class PartView(EntityView):
    """A route about one row of ``model``, which refers to its entity by the foreign key ``holder``."""

    model: ClassVar[type[Model]]
    holder: ClassVar[str]
    #: The path's parameter that holds the row's id.
    id_parameter: ClassVar[str]

    def get_object(self) -> Any:
        """The row in the path. Raises as `get_reached` does of its entity."""
        pk = read_id(self.kwargs[self.id_parameter])
        part = self.model._default_manager.filter(pk=pk).first()
        # An id that nothing has takes the time of one out of reach.
        entity_id = NOBODY if part is None else getattr(part, f"{self.holder}_id")
        setattr(part, self.holder, self.get_reached(self.entity, str(entity_id)))
        return part

    def locate(self) -> None:
        self.get_object()


def require_own(entity: Entity, grant: Grant) -> None:
    """Raise PermissionDenied for a hub's client: its settings, and where its money goes, are up to its own account."""
    if entity.account_id != grant.account_id:
        raise PermissionDenied(
            "This key reaches the miner as a client of a hub. Its settings are up to the account that owns it."
        )

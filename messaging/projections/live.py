"""What readers see of a projection: the rows of its live generation."""

from typing import TypeVar

from django.db.models import QuerySet

from messaging.projections.models import ProjectionState, ReadModel
from messaging.projections.registry import Projection

R = TypeVar("R", bound=ReadModel)


def live(projection: Projection, model: type[R]) -> QuerySet[R]:
    """The rows that readers see. The generation is looked up in the same statement, so a
    rebuild that switches generations is never seen half done."""
    generation = ProjectionState.objects.filter(name=projection.name).values("live_generation")[:1]
    return model._default_manager.filter(generation=generation)

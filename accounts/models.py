"""People. A username is the actor of every event: it never changes after sign-up."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower


class User(AbstractUser):
    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="username_unique_regardless_of_case",
                violation_error_message="A person with that name exists already.",
            )
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk and not self._state.adding:
            known = type(self).objects.filter(pk=self.pk).values_list("username", flat=True).first()
            if known is not None and known != self.username:
                raise ValidationError({"username": "A username never changes: events name it."})
        super().save(*args, **kwargs)

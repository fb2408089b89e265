"""People. A username is the actor of every event: it never changes after sign-up."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Q, Value
from django.db.models.functions import Lower
from knox.models import AuthToken

from accounts import names

TAKEN = "A person with that name exists already."
LOOKS_TAKEN = "That name looks like the one of somebody else. Choose another."


class User(AbstractUser):
    username = models.CharField(
        max_length=names.MAX_LENGTH,
        unique=True,
        help_text=f"{names.MADE_OF}; at most {names.MAX_LENGTH}.",
        validators=[names.check],
        error_messages={"unique": TAKEN},
    )

    # Unlike "", NULL is not unique: an account has none where an older one, from before there were
    # these columns, has the same.
    casefolded = models.CharField(max_length=names.KEY_LENGTH, null=True, editable=False)  # noqa: DJ001
    skeleton = models.CharField(max_length=names.KEY_LENGTH, null=True, editable=False)  # noqa: DJ001

    keeps_tokens = False  # as the person says who sets a new password; not stored

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="username_unique_regardless_of_case",
                violation_error_message=TAKEN,
            ),
            models.UniqueConstraint(fields=["casefolded"], name="one_name_in_any_case"),
            models.UniqueConstraint(fields=["skeleton"], name="no_two_names_look_the_same"),
        ]

    def clean(self) -> None:
        """For forms, which have no fields for what is unique here."""
        username = self.username
        super().clean()  # which would change the name of an older account to NFKC
        if not self._state.adding:
            self.username = username
        if self._state.adding and self.username:
            try:
                names.check(self.username)
            except ValidationError:
                return  # the field's validator says so
            self._require_free()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises `ValidationError` for a name that nobody can have, or that somebody has.

        A new password ends the tokens for the API, whoever sets it and by whatever way: who
        resets it, because somebody else has had it, means these too.
        """
        if self.pk is None or self._state.adding:
            self._save_new(*args, **kwargs)
            return
        known = type(self).objects.filter(pk=self.pk).values_list("username", "password").first()
        if known is not None and known[0] != self.username:
            raise ValidationError({"username": "A username never changes: events name it."})
        # A hash that Django renews at a sign-in has no `_password`.
        is_set = getattr(self, "_password", None) is not None or not self.has_usable_password()
        is_new = known is not None and known[1] != self.password and is_set
        with transaction.atomic():
            super().save(*args, **kwargs)
            if is_new and not self.keeps_tokens:
                AuthToken.objects.filter(user=self).delete()

    @classmethod
    def create_existing(cls, username: str) -> "User":
        """Put back the account of somebody who has acted before: without a password, and whatever
        the rule of new names says. Like an account from before the rule it has no key that
        somebody else has. Raises `ValidationError` if somebody has the very name, in any case.
        """
        user = cls(username=username)
        user.set_unusable_password()
        for key, value in user._keys().items():
            taken = cls._default_manager.filter(**{key: value}).exists()
            setattr(user, key, None if taken else value)
        try:
            with transaction.atomic():
                models.Model.save(user, force_insert=True)
        except IntegrityError:
            lower = cls._default_manager.alias(lower=Lower("username"))
            if lower.filter(lower=Lower(Value(username))).exists():
                raise ValidationError({"username": ValidationError(TAKEN, "unique")}) from None
            if user.casefolded is user.skeleton is None:
                raise
            return cls.create_existing(username)  # somebody has just taken one of its keys
        return user

    def _keys(self) -> dict[str, str]:
        return {
            "casefolded": names.casefolded(self.username),
            "skeleton": names.skeleton(self.username),
        }

    def _save_new(self, *args: Any, **kwargs: Any) -> None:
        try:
            names.check(self.username)
        except ValidationError as error:
            raise ValidationError({"username": error}) from None
        for key, value in self._keys().items():
            setattr(self, key, value)
        try:
            with transaction.atomic():
                super().save(*args, **kwargs)
        except IntegrityError:
            self._require_free()
            raise

    def _require_free(self) -> None:
        others = type(self)._default_manager
        folded = names.casefolded(self.username)
        if others.filter(Q(username__iexact=self.username) | Q(casefolded=folded)).exists():
            raise ValidationError({"username": ValidationError(TAKEN, "unique")})
        if others.filter(skeleton=names.skeleton(self.username)).exists():
            raise ValidationError({"username": ValidationError(LOOKS_TAKEN, "unique")})

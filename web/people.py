"""Whether there is such a person: pages of the read side may ask, which knows no accounts."""

from django.contrib.auth import get_user_model


def has_account(username: str) -> bool:
    model = get_user_model()
    return model._default_manager.filter(**{model.USERNAME_FIELD: username}).exists()

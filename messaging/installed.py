"""What INSTALLED_APPS has to name, and pip to install: said with the line that is missing."""

from collections.abc import Iterable
from importlib.util import find_spec

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

# What the API imports; the extra [api] brings it.
API = ("rest_framework", "rest_framework_dataclasses", "drf_standardized_errors", "drf_spectacular")


def require_app() -> None:
    """Called by what defines tables: without the app, Django names one of them and not the line, or
    finds nothing wrong and makes none."""
    if apps.apps_ready and not apps.is_installed("messaging"):
        raise ImproperlyConfigured(
            "INSTALLED_APPS does not name 'messaging', and what is imported here needs its tables. "
            "Add the line 'messaging' to it."
        )


def require_lines(lines: Iterable[str]) -> None:
    """Raise `ImproperlyConfigured` if one of INSTALLED_APPS is of a package that the extra [api]
    brings, and is not installed. Django says which, too, but not the extra."""
    if set(lines) & set(API) and set(lines) & set(missing_packages()):
        require_packages()


def missing_packages() -> list[str]:
    """Those of the extra [api] that are not installed."""
    return [name for name in API if find_spec(name) is None]


def require_packages() -> None:
    if missing := missing_packages():
        raise ImproperlyConfigured(
            f"The API needs {', '.join(missing)}: pip install 'postlog[api]', or the wheel with "
            "[api] behind its name."
        )

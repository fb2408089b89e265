from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created
from django.utils.module_loading import autodiscover_modules

from messaging import conf
from messaging.installed import require_lines


class MessagingConfig(AppConfig):
    name = "messaging"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        require_lines(settings.INSTALLED_APPS)

    def ready(self) -> None:
        # Each registers its system checks.
        from messaging import checks, deployment_checks, message_checks  # noqa: F401
        from messaging.eventstore.testflush import lift_triggers_for_tests

        connection_created.connect(lift_triggers_for_tests)

        if not conf.faults() and conf.postlog().traces and find_spec("opentelemetry"):
            from messaging.monitoring import spans

            spans.start()

        # One place finds every handler, projection and event of the installed apps.
        autodiscover_modules("handlers", "projections", "queries")

from importlib.util import find_spec

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.module_loading import autodiscover_modules

from messaging import conf


class MessagingConfig(AppConfig):
    name = "messaging"
    default_auto_field = "django.db.models.BigAutoField"

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

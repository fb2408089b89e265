from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.module_loading import autodiscover_modules


class MessagingConfig(AppConfig):
    name = "messaging"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from messaging import checks, deployment_checks  # noqa: F401  register the system checks
        from messaging.eventstore.testflush import lift_triggers_for_tests

        connection_created.connect(lift_triggers_for_tests)

        # One place finds every handler, projection and event of the installed apps.
        autodiscover_modules("handlers", "projections", "queries")

from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    name = "messaging.projections"
    label = "messaging_projections"

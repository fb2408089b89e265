import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from messaging.api.chunked import with_bodies_of_unknown_length  # noqa: E402  needs settings

application = with_bodies_of_unknown_length(django_application)

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from django.db import connections  # noqa: E402

from config.env import limit_waits_for_locks  # noqa: E402
from config.settings import LOCK_TIMEOUT_SECONDS  # noqa: E402  needs settings
from messaging.api.chunked import with_bodies_of_unknown_length  # noqa: E402  needs settings

limit_waits_for_locks(connections.settings, LOCK_TIMEOUT_SECONDS)
application = with_bodies_of_unknown_length(django_application)

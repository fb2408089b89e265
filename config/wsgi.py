import os

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

from config.settings import SETTING_PROBLEMS  # noqa: E402  needs settings
from messaging.api.chunked import with_bodies_of_unknown_length  # noqa: E402  needs settings

if SETTING_PROBLEMS:  # a server runs no system checks
    raise ImproperlyConfigured("; ".join(f"{p.setting}: {p.message}" for p in SETTING_PROBLEMS))

application = with_bodies_of_unknown_length(django_application)

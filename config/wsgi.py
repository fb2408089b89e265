import os
import sys

from django.core.wsgi import get_wsgi_application

os.umask(0o077)  # as manage.py
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config import settings  # noqa: E402  once Django is set up
from messaging.dialect.sessions import limit_reads, limit_waits_for_locks  # noqa: E402
from web.connections import believe_for_a_second  # noqa: E402
from web.request import Request  # noqa: E402

application.request_class = Request

if not settings.DEBUG and not settings.STATIC_MANIFEST.exists():
    # Each page names files by the manifest, so each would be an empty 500.
    sys.exit("Static files are missing: run `manage.py collectstatic --noinput` before the server.")

# Web servers only: a request that waits for longer is refused (503). Behind a command there is
# nobody who waits for an answer.
limit_waits_for_locks(settings.LOCK_TIMEOUT_SECONDS)
limit_reads(settings.READ_TIMEOUT_SECONDS)
believe_for_a_second()

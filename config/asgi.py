"""For the web server: `granian --interface asginl config.asgi:application` (see the Procfile)."""

from django.conf import settings

from config.wsgi import application as wsgi_application
from messaging import conf, start_counting
from messaging.monitoring.tallies import counter
from web.buffering import Buffered

start_counting()
application = Buffered(
    wsgi_application,
    threads=conf.postlog().web_threads,
    max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    on_loop={"/health/live"},  # that the process lives, and its loop turns, is all it promises
    on_busy=counter.answered,
)

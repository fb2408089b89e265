"""What has expired is deleted once a day, by the workers, so that no cron job has to.

An app registers what is its own, where it is imported (`AppConfig.ready`):

    @daily
    def old_drafts() -> None:
        Draft.objects.filter(expires_at__lt=timezone.now()).delete()

Several workers may each do it. So it must do no harm twice.
"""

import logging
import random
import threading
from collections.abc import Callable
from importlib import import_module

from django.apps import apps
from django.conf import settings

from messaging.transient import drop_connections, is_away, reason
from messaging.workers.threads import take_time

log = logging.getLogger("postlog.cleaning")

EVERY_S = 24 * 3600.0
SOON_S = 3600.0  # after the start, at most: a worker may be restarted more often than daily
AGAIN_AFTER_S = 60.0

Work = Callable[[], object]

daily_work: list[Work] = []


def daily(work: Work) -> Work:
    """Register a function without arguments."""
    daily_work.append(work)
    return work


@daily
def expired_sessions() -> None:
    """As `manage.py clearsessions`."""
    if apps.is_installed("django.contrib.sessions"):
        import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def run(stop: threading.Event) -> None:
    """A worker's part (threads.py). An error is logged, and ends nothing else."""
    stop.wait(random.uniform(0, SOON_S))
    left = list(daily_work)
    while not stop.is_set():
        take_time(stop)
        left = [work for work in left if not _done(work)]
        stop.wait(AGAIN_AFTER_S if left else EVERY_S)
        left = left or list(daily_work)


def _done(work: Work) -> bool:
    """False: the database is away, and it is to be tried again."""
    try:
        work()
    except Exception as error:
        if is_away(error):
            log.warning("%s: %s. It is tried again.", work.__name__, reason(error))
            drop_connections()
            return False
        log.exception("%s failed; it is tried again tomorrow.", work.__name__)
    return True

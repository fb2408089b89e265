"""System checks of this project's own settings, which name the variables of the environment."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from config import env

TAG = "messaging"  # as the package's own: its commands ask these at start


@register(TAG)
def the_environment_is_right(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"{problem.setting}: {problem.message}", hint=problem.hint, id="postlog.E004")
        for problem in env.problems
    ]


@register(deploy=True)
def all_web_processes_count_together(**kwargs: Any) -> list[CheckMessage]:
    if settings.WEB_WORKERS == 1 or settings.COUNTERS:
        return []
    return [
        Warning(
            f"WEB_WORKERS is {settings.WEB_WORKERS} and CACHE_URL is empty: each web process "
            "counts passwords, sign-ups and requests by itself, so limits are that much higher.",
            hint="Set CACHE_URL to a Redis that all of them reach, or WEB_WORKERS to 1 if there is "
            "one web process in all.",
            id="postlog.W020",
        )
    ]


@register(deploy=True)
def the_proxy_in_front_is_believed(**kwargs: Any) -> list[CheckMessage]:
    """With DEBUG off pages are HTTPS only, which a proxy in front has to end."""
    if settings.DEBUG or settings.REST_FRAMEWORK["NUM_PROXIES"]:
        return []
    return [
        Warning(
            "TRUSTED_PROXIES is 0: behind the proxy that ends HTTPS all people count as one "
            "address, and what one of them does too often is refused to all.",
            hint="Set TRUSTED_PROXIES to the number of proxies in front.",
            id="postlog.W021",
        )
    ]

"""The live side alone, without what builds: `python -m tests.support.serving`."""

import os

import django


def main() -> None:
    django.setup()
    from messaging.bus import current_bus
    from messaging.projections.consuming.consumer import Consumer
    from messaging.projections.registry import PROJECTIONS
    from messaging.relay.relay import Relay
    from messaging.workers.threads import run_until_stopped

    parts = {name: Consumer(p, current_bus()).run for name, p in PROJECTIONS.items()}
    run_until_stopped(parts | {"relay": Relay(current_bus()).run})


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main()

"""Make people: `python -m tests.faults.history.accounts STAFF NAME ...`

The first is staff, and may ask for rebuilds. Prints one JSON object: the API token and the
session of each by name. Uses the project's code; the checker does not use this.
"""

import json
import os
import sys

import django


def main(names: list[str]) -> None:
    django.setup()
    from django.contrib.auth.models import Permission
    from django.test import Client
    from knox.models import AuthToken

    from accounts.models import User

    tokens, sessions = {}, {}
    for number, name in enumerate(names):
        user = User.objects.create(username=name, is_staff=number == 0)
        if user.is_staff:
            asks = Permission.objects.filter(codename__in=["add_rebuild", "view_rebuild"])
            user.user_permissions.set(asks)
        tokens[name] = AuthToken.objects.create(user)[1]
        browser = Client()
        browser.force_login(user)
        sessions[name] = browser.cookies["sessionid"].value
    print(json.dumps({"tokens": tokens, "sessions": sessions}))  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main(sys.argv[1:])

"""A query of a web request ends after READ_TIMEOUT_SECONDS, and is 503; nobody else's does."""

import subprocess
import sys
from contextlib import closing

import psycopg2
from django.db import connections
from django.test import Client

from messaging.dialect import sessions
from messaging.testing.waiting import wait_until
from tests.support.api import Api, errors
from tests.support.modes import Mode
from tests.support.processes import ROOT, environment


def test_a_query_that_takes_too_long_is_503_and_the_next_one_is_answered(postgresql: Mode) -> None:
    sessions.limit_waits_for_locks(20)  # a failure must not hang
    sessions.limit_reads(0.2)
    connections["read"].close()
    with closing(psycopg2.connect(postgresql.env["READ_DATABASE_URL"])) as other:
        other.cursor().execute("LOCK TABLE queries_app_post")  # as slow as one likes
        api = Api().ask("find-all-posts")
        assert (api.status_code, errors(api)) == (503, [("unavailable", None)])
        assert "took too long" in api.json()["errors"][0]["detail"]
        assert int(api["Retry-After"]) > 0
        assert Client().get("/").status_code == 503
    # The first that runs to its end has its plan to make, for which a busy machine takes longer.
    wait_until(lambda: Api().ask("find-all-posts").status_code == 200, "the next one is answered")


def test_the_web_server_limits_reads_and_the_shell_does_not(postgresql: Mode) -> None:
    shown = (
        "from django.db import connections\n"
        "for alias in ('read', 'default'):\n"
        "    cursor = connections[alias].cursor(); cursor.execute('SHOW statement_timeout')\n"
        "    print(alias, cursor.fetchone()[0])\n"
    )
    env = environment({**postgresql.env, "READ_TIMEOUT_SECONDS": "7"})
    programs = ("import config.wsgi", "import os, django; django.setup()")
    env["DJANGO_SETTINGS_MODULE"] = "config.settings"
    said = [
        subprocess.run(
            [sys.executable, "-c", f"{program}\n{shown}"],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
        ).stdout
        for program in programs
    ]
    assert said == ["read 7s\ndefault 0\n", "read 0\ndefault 0\n"]

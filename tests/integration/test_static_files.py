"""Static files in production: collected before the server starts, and nothing else is served."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clone import fresh_clone
from tests.support.processes import environment

PRODUCTION = {
    "DEBUG": "off",
    "SECRET_KEY": "for-this-test-only" * 3,
    "ALLOWED_HOSTS": "postlog.example",
    "ENV_FILE": "",
    "WRITE_DATABASE_URL": "",
    "READ_DATABASE_URL": "",
    "KAFKA_BOOTSTRAP_SERVERS": "",
}
ASK = """
import config.wsgi
from django.contrib.staticfiles.storage import staticfiles_storage
from django.test import Client
client = Client(raise_request_exception=False)
for path in (staticfiles_storage.url("postlog.css"), "/static/staticfiles.json", "/nowhere/"):
    answer = client.get(path, headers={"host": "postlog.example"}, secure=True)
    print(answer.status_code, "postlog." in path or b"postlog." in b"".join(answer))
for path in ("postlog.js", "messaging/htmx-2.0.11.min.js", "admin/css/base.css"):
    print(client.get(staticfiles_storage.url(path), secure=True)["Cache-Control"])
"""


@pytest.fixture
def clone() -> Iterator[Path]:
    with fresh_clone() as tree:
        yield tree


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = environment({**PRODUCTION, "DJANGO_SETTINGS_MODULE": "config.settings"})
    return subprocess.run(
        [sys.executable, *arguments], cwd=clone, env=env, capture_output=True, text=True
    )


def test_a_server_without_collected_files_does_not_start_and_says_what_to_do(clone: Path) -> None:
    done = run(clone, "-c", "import config.wsgi")
    assert done.returncode == 1
    assert done.stderr.startswith("Static files are missing: run `manage.py collectstatic")


def test_pages_find_collected_files_and_nobody_gets_the_list_of_them(clone: Path) -> None:
    large = ["--ignore", "drf_spectacular_sidecar"]  # 1.5 s of CPU to compress, and not asked for
    done = run(clone, "manage.py", "collectstatic", "--noinput", "--verbosity", "0", *large)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(clone / "var/static")
    done = run(clone, "-c", ASK)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["200 True", "404 True", "404 True"], done.stderr
    assert set(lines[3:]) == {"max-age=315360000, public, immutable"}  # their names change

"""A wrong setting stops the start with a message that says which one and what cures it."""

import sys
from pathlib import Path

import pytest

from tests.support.processes import Worker, manage

NEEDS = {("DEBUG", "off"): "SECRET_KEY", ("POOLED", "on"): "LOCK_DATABASE_URL"}


@pytest.mark.parametrize(
    "wrong",
    [
        {
            "KAFKA_PARTITIONS": "many",
            "KAFKA_SECURITY_PROTOCOL": "WRONG",
            "WEB_THREADS": "-1",
            "WRITE_DATABASE_URL": "nonsense",
            "READ_DATABASE_URL": "mysql://localhost/x",
            "DEBUG": "maybe",
            "ENV_FILE": "nowhere.env",
            "LOCK_DATABASE_URL": "nonsense",
        },
        {"KAFKA_PARTITIONS": "0", "DEBUG": "off", "POOLED": "on"},
        {
            "READ_DATABASE_URL": "sqlite:///var/write.sqlite3",
            "LOCK_DATABASE_URL": "sqlite:///var/write.sqlite3",
        },
    ],
    ids=["many", "some", "one"],
)
def test_a_wrong_setting_is_named_by_a_check(wrong: dict[str, str]) -> None:
    done = manage(wrong, "check")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "(postlog.E" in line]
    assert len(errors) == len(wrong) == done.stderr.count("HINT")
    for name, value in wrong.items():
        named = NEEDS.get((name, value), name)
        assert any(named in line for line in errors), named


# Each runs other system checks, or none.
COMMANDS = ["migrate --skip-checks --plan", "shell -c pass", "collectstatic", "status"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_without_the_env_file_that_was_named(command: str) -> None:
    """It would work on the default databases."""
    done = manage({"ENV_FILE": "nowhere.env"}, *command.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert "ENV_FILE: There is no file" in done.stderr
    assert "nowhere.env" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_runs_on_a_default_that_stands_in_for_a_wrong_database() -> None:
    done = manage({"WRITE_DATABASE_URL": "nonsense"}, "shell", "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (1, "")
    assert "WRITE_DATABASE_URL" in done.stderr


def test_the_web_server_does_not_start_without_the_env_file_that_was_named() -> None:
    granian = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi"]
    env = {"ENV_FILE": "nowhere.env"}
    with Worker(env, "--port", "0", "config.wsgi:application", program=granian) as server:
        assert server.wait() != 0
        assert "ENV_FILE: There is no file" in server.output()


def test_an_empty_setting_means_the_default() -> None:
    empty = dict.fromkeys(["KAFKA_PARTITIONS", "WRITE_DATABASE_URL", "DEBUG", "WEB_THREADS"], "")
    assert manage(empty, "check").returncode == 0

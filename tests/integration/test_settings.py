"""A wrong setting stops the start with a message that says which one and what cures it."""

import logging
from pathlib import Path

import pytest

from tests.support.processes import Worker, manage
from tests.support.web import SERVER

NEEDS = {("DEBUG", "off"): "SECRET_KEY", ("POOLED", "on"): "LOCK_DATABASE_URL"}
NEEDS |= {("READ_DATABASE_URL", "sqlite:///var/write.sqlite3"): "DATABASES"}


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
            "CACHE_URL": "memcache://localhost",
            "LOG_LEVEL": "loud",
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


def test_whole_settings_of_the_way_to_the_broker_are_taken() -> None:
    given = {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_PLAIN_USERNAME": "postlog",
             "SASL_PLAIN_PASSWORD": "secret-7", "SSL_CAFILE": "ca.pem"}  # fmt: skip
    env = {f"KAFKA_{name}": value for name, value in given.items()}
    says = "from django.conf import settings; print(sorted(settings.POSTLOG['KAFKA']['security']))"
    done = manage({**env, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "shell", "-v0", "-c", says)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(sorted(["security_protocol", *map(str.lower, given)]))


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
    env = {"ENV_FILE": "nowhere.env"}
    with Worker(env, "--port", "0", program=SERVER) as server:
        assert server.wait() != 0
        assert "ENV_FILE: There is no file" in server.output()


SECRET = "s3cr3t"


def test_a_line_of_a_file_that_cannot_be_read_is_named_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "wrong.env"
    path.write_text(f"# a comment\n\nDEBUG=on\nWRITE DATABASE_URL={SECRET}\nMAX_LAG=5\n")
    done = manage({"ENV_FILE": str(path)}, "migrate")
    assert done.returncode == 1
    assert "Line 4 of" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(("length", "starts"), [(31, False), (32, True)])
def test_a_short_secret_key_does_not_start_in_production(length: int, starts: bool) -> None:
    """Sessions and forms are signed with it: a short one can be guessed from a cookie."""
    key = "a8" * 16
    done = manage({"DEBUG": "off", "SECRET_KEY": key[:length]}, "shell", "-c", "pass")
    assert (done.returncode == 0) is starts
    assert ("SECRET_KEY: It is missing, or shorter than 32 characters." in done.stderr) != starts
    assert key[:length] not in done.stderr


def test_an_empty_setting_means_the_default() -> None:
    empty = dict.fromkeys(["KAFKA_PARTITIONS", "WRITE_DATABASE_URL", "DEBUG", "WEB_THREADS"], "")
    assert manage(empty, "check").returncode == 0


@pytest.mark.parametrize(
    ("switch", "hsts"),
    [("", "max-age=31536000"), ("on", "max-age=31536000; includeSubDomains; preload")],
)
def test_only_who_asks_for_it_binds_the_subdomains(switch: str, hsts: str) -> None:
    names = ("SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD")
    env = {"DEBUG": "off", "SECRET_KEY": "x" * 60, **dict.fromkeys(names, switch)}
    ask = "from django.test import Client; print(Client(headers={'Host': 'localhost', "
    ask += "'X-Forwarded-Proto': 'https'}).get('/api/')['Strict-Transport-Security'])"
    assert manage(env, "shell", "-v", "0", "-c", ask).stdout.strip() == hsts


@pytest.mark.parametrize(
    ("level", "ours", "kafka", "django"),
    [
        ("DEBUG", "DEBUG", "WARNING", "INFO"),
        ("ERROR", "ERROR", "ERROR", "ERROR"),
    ],
)
def test_a_level_holds_for_postlog_and_no_library_says_more(
    level: str, ours: str, kafka: str, django: str
) -> None:
    names = ("postlog.relay", "kafka.consumer", "django.request")
    code = (
        "import logging; from django.conf import settings; settings.LOGGING; "
        f"print(*[logging.getLogger(n).getEffectiveLevel() for n in {names}])"
    )
    done = manage({"LOG_LEVEL": level}, "shell", "--no-imports", "--command", code)
    levels = [logging.getLevelName(int(number)) for number in done.stdout.split()]
    assert levels == [ours, kafka, django], done.stderr


def test_signatures_without_keys_do_not_start() -> None:
    done = manage({"RECORD_SIGNATURES": "on"}, "shell", "-c", "pass")
    assert done.returncode == 1
    assert done.stderr.startswith("RECORD_SIGNATURES: It is on, and RECORD_KEYS is empty.")


KEY = "0123456789abcdef" * 2


def test_a_ring_is_taken_in_its_order() -> None:
    says = "from messaging import conf; print(conf.postlog().record_keys, conf.signs_records())"
    env = {"RECORD_KEYS": f" b:{KEY} , a:{KEY}:7 ", "RECORD_SIGNATURES": "on"}
    done = manage(env, "shell", "-v0", "-c", says)
    assert done.stdout.strip() == f"(('b', '{KEY}'), ('a', '{KEY}:7')) True", done.stderr

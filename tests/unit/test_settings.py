"""A wrong setting stops the start with a message that says which one and what cures it."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from config import env
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


@pytest.mark.parametrize(
    ("given", "named", "cure"),
    [
        ({"SASL_PLAIN_PASSWORD": "secret-7"}, "SECURITY_PROTOCOL", "Set it to SASL_SSL."),
        ({"SSL_CAFILE": "ca.pem"}, "SECURITY_PROTOCOL", "Set it to SSL."),
        (
            {"SECURITY_PROTOCOL": "SSL", "SASL_PLAIN_USERNAME": "postlog"},
            "SASL_PLAIN_USERNAME",
            "Set KAFKA_SECURITY_PROTOCOL to SASL_SSL",
        ),
        (
            {"SECURITY_PROTOCOL": "PLAINTEXT", "SSL_KEYFILE": "key.pem"},
            "SSL_KEYFILE",
            "Set KAFKA_SECURITY_PROTOCOL to SSL",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL"},
            "SASL_MECHANISM",
            "SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN",
        ),
    ],
)
def test_no_way_to_the_broker_is_less_safe_than_the_settings_say(
    given: dict[str, str], named: str, cure: str
) -> None:
    done = manage({f"KAFKA_{name}": value for name, value in given.items()}, "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"KAFKA_{named}: It ")
    assert cure in done.stderr
    assert "secret-7" not in done.stderr
    assert done.stderr.count("\n") == 1


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
AT = "@127.0.0.1:1/postlog"
UNCLEAR = [
    f"postgresql://user:{SECRET}/tail{AT}",
    f"postgresql://user:12/{SECRET}{AT}",
    f"postgresql://user:12?{SECRET}{AT}",
    f"postgresql://user:12#{SECRET}{AT}",
    f"postgresql://user:12#{SECRET}/{SECRET}{AT}",
    f"postgresql://user:{SECRET}",
    f"postgresql://user:[{SECRET}{AT}",
    f"postgresql://user:pass@127.0.0.1:{SECRET}/postlog",
    f"{SECRET}://user:{SECRET}{AT}",
    f"user:{SECRET}{AT}",
    f"postgresql:/user:{SECRET}{AT}",
    f"postgresql:user:{SECRET}{AT}",
    f"sqlite://user:{SECRET}{AT}",
    SECRET,
]


@pytest.mark.parametrize("url", UNCLEAR)
@pytest.mark.parametrize("name", ["WRITE_DATABASE_URL", "LOCK_DATABASE_URL"])
def test_no_part_of_a_wrong_database_url_is_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)
    monkeypatch.setattr(env, "problems", [])
    if name == "LOCK_DATABASE_URL":
        env.lock_database(name, needed=False)
    else:
        env.database(name, "sqlite:///var/write.sqlite3", pooled=False)
    (problem,) = env.problems
    assert (problem.setting, SECRET in str(problem)) == (name, False)
    assert "%40 for @" in problem.hint


@pytest.mark.parametrize("password", ["p%40s%2Fs%23%3F", "p@ss", "p:ss", "p&s=s", "p+s%20s"])
def test_a_password_with_special_characters_is_taken(password: str) -> None:
    found = env.database_of(f"postgresql://user:{password}@db.example:5432/postlog")
    assert (found["NAME"], found["HOST"], found["PORT"]) == ("postlog", "db.example", 5432)
    assert found["PASSWORD"] == unquote(password)


def test_no_part_of_a_wrong_cache_url_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_URL", f"{SECRET}://:{SECRET}@cache")
    monkeypatch.setattr(env, "problems", [])
    env.redis("CACHE_URL")
    (problem,) = env.problems
    assert SECRET not in str(problem)


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


def test_the_former_name_of_a_setting_is_read_and_the_new_one_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def max_lag() -> int:
        return env.whole_number("MAX_LAG", 7, least=0, most=9, former="MOST_LAG")

    assert max_lag() == 7
    monkeypatch.setenv("MOST_LAG", "5")
    assert max_lag() == 5
    monkeypatch.setenv("MAX_LAG", "6")
    assert max_lag() == 6

"""What is wrong with a setting is said without its secrets, with what cures it."""

from urllib.parse import unquote

import pytest

from config import env, kafka
from tests.support.settings import problems


@pytest.mark.parametrize(
    ("given", "named", "cure"),
    [
        ({"SASL_PLAIN_PASSWORD": "secret-7"}, "SECURITY_PROTOCOL", "Set it to SASL_SSL."),
        ({"SSL_CAFILE": "ca.pem"}, "SECURITY_PROTOCOL", "Set it to SSL."),
        ({"SASL_PASSWORD": "secret-7"}, "SASL_PASSWORD", "KAFKA_SASL_PLAIN_PASSWORD"),
        ({"SSL_CA_FILE": "ca.pem"}, "SSL_CA_FILE", "One of KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE,"),
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
            "SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"},
            "SASL_OAUTH_TOKEN_PROVIDER",
            "a function that returns a token",
        ),
        (
            {
                "SECURITY_PROTOCOL": "SASL_SSL",
                "SASL_MECHANISM": "PLAIN",
                "SASL_OAUTH_TOKEN_PROVIDER": "shop.kafka.token",
            },
            "SASL_OAUTH_TOKEN_PROVIDER",
            "Set KAFKA_SASL_MECHANISM to OAUTHBEARER",
        ),
    ],
)
def test_no_way_to_the_broker_is_less_safe_than_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str, cure: str
) -> None:
    variables = {f"KAFKA_{name}": value for name, value in given.items()}
    (said,) = problems(monkeypatch, kafka.security, variables)
    assert said.startswith(f"KAFKA_{named}: It ")
    assert cure in said
    assert "secret-7" not in said


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


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", ""),
        ("https://postlog.example", "https://postlog.example"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        *[(wrong, None) for wrong in ("postlog.example", "https://a/b", "https://a?b", "https://",
                                      "https://u:p@a", "ftp://a", "https://a b", "https://a:x")],
    ],
)  # fmt: skip
def test_the_address_of_a_site_is_a_scheme_and_a_host(
    given: str, taken: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_URL", given)
    monkeypatch.setattr(env, "problems", [])
    assert env.origin("SITE_URL") == (taken or "")
    assert [one.setting for one in env.problems] == ([] if taken is not None else ["SITE_URL"])


def test_no_part_of_a_wrong_cache_url_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_URL", f"{SECRET}://:{SECRET}@cache")
    monkeypatch.setattr(env, "problems", [])
    env.redis("CACHE_URL")
    (problem,) = env.problems
    assert SECRET not in str(problem)


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

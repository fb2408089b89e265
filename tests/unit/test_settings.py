"""A wrong setting stops the start with a check that says which, and how to mend it."""

import pytest

from tests.support.processes import manage


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("KAFKA_PARTITIONS", "many", "E004"),
        ("KAFKA_PARTITIONS", "0", "E004"),
        ("KAFKA_SECURITY_PROTOCOL", "WRONG", "E004"),
        ("WEB_THREADS", "-1", "E004"),
        ("WRITE_DATABASE_URL", "nonsense", "E004"),
        ("READ_DATABASE_URL", "mysql://localhost/x", "E004"),
        ("READ_DATABASE_URL", "sqlite:///var/write.sqlite3", "E002"),
        ("DEBUG", "maybe", "E004"),
        ("DEBUG", "off", "E004"),
        ("ENV_FILE", "nowhere.env", "E004"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, check: str) -> None:
    done = manage({name: value}, "check")
    assert done.returncode == 1
    assert f"postlog.{check}" in done.stderr
    assert "HINT" in done.stderr
    assert ("SECRET_KEY" if (name, value) == ("DEBUG", "off") else name) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_setting_means_the_default() -> None:
    empty = dict.fromkeys(["KAFKA_PARTITIONS", "WRITE_DATABASE_URL", "DEBUG", "WEB_THREADS"], "")
    assert manage(empty, "check").returncode == 0

"""POSTLOG: what may stand in it, and how `check` names what may not."""

from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from messaging import conf
from messaging.checks import settings_are_right
from tests.support.settings import postlog

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("given", "setting", "hint"),
    [
        ({"MAX_LAGS": 5}, 'POSTLOG["MAX_LAGS"]', "'MAX_LAG'"),
        ({"max_lag": 5}, 'POSTLOG["max_lag"]', "'MAX_LAG'"),
        ({"MAX_LAG": SECRET}, 'POSTLOG["MAX_LAG"]', "10000"),
        ({"MAX_LAG": -1}, 'POSTLOG["MAX_LAG"]', "10000"),
        ({"KAFKA": SECRET}, 'POSTLOG["KAFKA"]', "defaults"),
        ({"KAFKA": {"topics": SECRET}}, 'POSTLOG["KAFKA"]["topics"]', "'topic'"),
        ({"KAFKA": {"topic": f"{SECRET} {SECRET}"}}, 'POSTLOG["KAFKA"]["topic"]', "events"),
        ({"KAFKA": {"partitions": 0}}, 'POSTLOG["KAFKA"]["partitions"]', "12"),
        ({"KAFKA": {"security": SECRET}}, 'POSTLOG["KAFKA"]["security"]', "{}"),
        ({"RECORD_KEYS": [("one", SECRET)]}, 'POSTLOG["RECORD_KEYS"][0][1]', "()"),
        ({"ACTORS": f"orders.{SECRET}"}, 'POSTLOG["ACTORS"]', "Actors"),
        (SECRET, "POSTLOG", "defaults"),
    ],
    ids=str,
)
def test_a_wrong_or_unknown_setting_is_named_as_it_stands_in_the_settings(
    given: Any, setting: str, hint: str
) -> None:
    with override_settings(POSTLOG=given):
        (error,) = settings_are_right()
        assert error.id == "postlog.E004"
        assert str(error.msg).startswith(f"{setting} ")
        assert hint in str(error.hint)


def test_everything_that_is_wrong_is_named_at_once_and_no_value_is_shown() -> None:
    wrong = {"KAFKA": {"partitions": SECRET, "topic": 7}, "ACTORS": 7, "LOCK_DATABASE": SECRET}
    with override_settings(POSTLOG=wrong):
        said = [str(error.msg) for error in settings_are_right()]
    assert len(said) == 4
    assert not any(SECRET in one for one in said)


def test_a_wrong_setting_stops_what_needs_it_too() -> None:
    """Web servers run no system checks."""
    wrong = override_settings(POSTLOG={"KAFKA": {"partitions": "12"}})
    with wrong, pytest.raises(ImproperlyConfigured, match=r'^POSTLOG\["KAFKA"\]\["partitions"\] '):
        conf.postlog()


def test_without_postlog_in_the_settings_everything_has_a_default() -> None:
    with override_settings():
        del settings.POSTLOG
        assert conf.postlog() == conf.Postlog()
        assert settings_are_right() == []


def test_settings_are_read_when_they_are_needed() -> None:
    before = conf.wait_slots()
    with postlog(WEB_THREADS=100):
        assert conf.wait_slots() == 50
    assert conf.wait_slots() == before

"""Costs that strangers choose: passwords, sign-ups and forms are counted, and told why not."""

import base64
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client, RequestFactory, override_settings

from accounts import login_throttle
from accounts.models import User
from tests.support.api import Api, person
from tests.support.modes import Mode
from tests.support.threads import together
from web import counters

LOGIN, SIGN_UP, PASSWORD = "/accounts/login/", "/accounts/sign-up/", "/accounts/password/"
TOKEN = "/api/v1/auth/token/"
RIGHT = "correct horse"


pytestmark = pytest.mark.usefixtures("no_window_ends")


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for every password that is hashed."""
    done: list[str] = []
    encode = MD5PasswordHasher.encode

    def counting(self: Any, secret: str, salt: str) -> str:
        done.append(secret)
        return encode(self, secret, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    return done


def with_password(name: str, word: str = RIGHT) -> User:
    user = person(name)
    user.set_password(word)
    user.save()
    return user


def sign_in(name: str, word: str, address: str = "192.0.2.1", **headers: str) -> Any:
    body = {"username": name, "password": word}
    return Client(REMOTE_ADDR=address).post(LOGIN, body, headers=headers)


def basic(name: str, word: str, address: str = "192.0.2.1") -> Any:
    credentials = base64.b64encode(f"{name}:{word}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    return Client(REMOTE_ADDR=address).post(TOKEN, headers=headers)


def request_of(address: str) -> Any:
    return RequestFactory(REMOTE_ADDR=address).get("/")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "postlog.security"]


# --- passwords -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["alice", " alice ", "ALICE", "\uff41lice", "\uff21LI\uff23E"])
def test_a_name_is_the_same_however_it_is_written(sqlite: Mode, spelling: str) -> None:
    with_password("alice")
    for door in (sign_in, basic) * 5:
        assert door(spelling, "wrong").status_code in (200, 401)
    assert sign_in("alice", RIGHT).status_code == 429
    assert basic("Alice", RIGHT).status_code == 429


def test_nothing_is_hashed_for_a_name_over_its_limit(sqlite: Mode, hashes: list[str]) -> None:
    with_password("alice")
    hashes.clear()
    for _ in range(15):
        sign_in("alice", "wrong")
    assert len(hashes) == 10
    answer = sign_in("alice", RIGHT)
    assert (answer.status_code, len(hashes)) == (429, 10)
    assert "Try again in 300 seconds" in answer.content.decode()
    assert answer["Retry-After"] == "300"
    assert sign_in("alice", RIGHT, "192.0.2.2").status_code == 302, "from elsewhere"


def test_a_right_password_passes_where_others_have_guessed(sqlite: Mode, hashes: list[str]) -> None:
    """Else 50 wrong passwords would lock out all who share an address."""
    with_password("alice")
    hashes.clear()
    for number in range(200):
        assert sign_in(f"nobody{number}", "wrong").status_code == (200 if number < 50 else 429)
    assert sign_in("n" * 60_000, "wrong").status_code == 429, "nor is one that no LIKE compares"
    assert len(hashes) == 50, "names that nobody has are not looked at any more"
    assert sign_in("alice", RIGHT).status_code == 302
    assert basic("alice", RIGHT).status_code == 200


@pytest.mark.parametrize("name", ["Éric", "Σίσυφος", "Groß", "ALICE"])
def test_so_does_one_of_a_name_in_any_letters(database: Mode, name: str) -> None:
    with_password(name)
    for number in range(50):
        sign_in(f"nobody{number}", "wrong")
    assert sign_in("nobody51", "wrong").status_code == 429
    assert sign_in(name, RIGHT).status_code == 302
    assert basic(name, RIGHT).status_code == 200


def test_tries_that_outlast_their_window_make_no_room_in_the_next(
    sqlite: Mode, hashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_password("alice")
    with login_throttle.password(request_of("192.0.2.1"), "alice"):
        monkeypatch.setattr(counters.Window, "now", lambda self: (2, self.seconds))
    hashes.clear()
    for _ in range(15):
        sign_in("alice", "wrong")
    assert len(hashes) == 10


def test_the_admins_page_for_a_new_password_leads_to_the_sites(sqlite: Mode) -> None:
    person("root")
    User.objects.update(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(person("root"))
    for ask in (client.get, client.post):
        answer = ask("/admin/password_change/")
        assert (answer.status_code, answer["Location"]) == (302, PASSWORD)


def test_wrong_tokens_are_counted_by_address(sqlite: Mode) -> None:
    with override_settings(API_RATE=3):
        answers = [
            Client(REMOTE_ADDR=address).get(
                "/api/v1/queries/find-all-posts/", headers={"Authorization": f"Token {token}"}
            )
            for address, token in [("192.0.2.1", "x")] * 3 + [("192.0.2.1", "\xff"), ("::1", "x")]
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 401]
    assert answers[0]["RateLimit-Remaining"] == "2"
    assert answers[3]["Retry-After"] == "60"


def test_an_address_causes_so_many_hashes_and_no_more(sqlite: Mode, hashes: list[str]) -> None:
    names = [with_password(f"person{number}").username for number in range(15)]
    hashes.clear()
    with override_settings(API_RATE=1200):
        answers = [sign_in(name, "wrong").status_code for name in names for _ in range(10)]
    assert answers.count(200) == len(hashes) == 120
    assert set(answers[120:]) == {429}


@override_settings(API_RATE=3)
def test_right_passwords_count_and_the_limit_is_asked_before_the_hash(
    sqlite: Mode, hashes: list[str]
) -> None:
    with_password("alice")
    hashes.clear()
    answers = [basic("alice", RIGHT, f"192.0.2.{number}") for number in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 3
    assert len(hashes) == 3
    assert answers[3]["Retry-After"] == "60"
    assert answers[3].json()["errors"][0]["code"] == "throttled"


def test_the_old_password_is_one_more_door(sqlite: Mode, hashes: list[str]) -> None:
    with_password("alice")
    client = Client()
    client.force_login(person("alice"))
    hashes.clear()
    new = {"new_password1": "a much longer one", "new_password2": "a much longer one"}
    answers = [client.post(PASSWORD, {"old_password": "wrong", **new}) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert len(hashes) == 10
    assert int(answers[-1]["Retry-After"]) > 0
    assert "Too many passwords" in answers[-1].content.decode()
    assert sign_in("alice", RIGHT, "127.0.0.1").status_code == 429, "it counts with the others"


def test_the_admin_has_no_door_of_its_own(sqlite: Mode, hashes: list[str]) -> None:
    answer = Client().post("/admin/login/", {"username": "alice", "password": "wrong"})
    assert answer["Location"].startswith(LOGIN)
    assert hashes == []


def test_tries_at_the_same_time_are_not_all_the_last_one(sqlite: Mode, hashes: list[str]) -> None:
    with_password("alice")
    hashes.clear()
    answers = together(*[lambda: basic("alice", "wrong").status_code] * 24)
    assert len(hashes) <= 10
    assert set(answers) == {401, 429}


def test_people_who_only_sign_in_are_never_told_to_wait(sqlite: Mode) -> None:
    with_password("alice")
    for _ in range(12):
        assert sign_in("alice", RIGHT).status_code == 302
        assert sign_in("bob", "wrong").status_code in (200, 429)
    assert sign_in("alice", "wrong").status_code == 200, "right ones took nothing away"


# --- sign-ups -----------------------------------------------------------------------------------


def sign_up(name: str, address: str = "192.0.2.1") -> Any:
    word = "long enough a phrase"
    body = {"username": name, "password1": word}
    return Client(REMOTE_ADDR=address).post(SIGN_UP, body)


@override_settings(SIGN_UP_RATE=2)
def test_sign_ups_of_an_address_are_counted(
    sqlite: Mode, hashes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert sign_up("").status_code == 200, "what makes no account does not count"
    assert [sign_up(f"eve{number}").status_code for number in range(3)] == [302, 302, 429]
    assert (User.objects.count(), len(hashes)) == (2, 2)
    assert sign_up("eve3", "192.0.2.2").status_code == 302
    refused = sign_up("eve4")
    assert refused["Retry-After"] == "3600"
    assert "Try again in 60 min" in refused.content.decode()
    assert lines(caplog) == ["sign-up must wait: address=192.0.2.1 seconds=3600"] * 2


# --- forms ----------------------------------------------------------------------------------------


@override_settings(API_RATE=3)
def test_forms_count_as_requests_of_the_api_do(database: Mode) -> None:
    alice = Client()
    alice.force_login(person("alice"))
    answers = [alice.post("/write/", {"text": f"{number}"}) for number in range(3)]
    assert [answer.status_code for answer in answers] == [302] * 3
    refused = alice.post("/write/", {"text": "the fourth, and long"})
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    page = refused.content.decode()
    assert "You send too much at once" in page
    assert "the fourth, and long" in page, "nobody loses a text"
    assert Api("alice").ask("find-all-posts").status_code == 429, "it is one limit"
    assert alice.get("/").status_code == 200, "reading is no form"
    part = alice.post("/write/", {"text": "x"}, headers={"HX-Request": "true"})
    assert (part.status_code, part["HX-Retarget"]) == (429, "#toasts")
    assert Client().post(LOGIN, {}).status_code == 200, "nobody is another one"


@override_settings(API_RATE=3)
@pytest.mark.parametrize("address", ["/admin/logout/", "/posts/nowhere/", LOGIN, "/health/live"])
def test_no_address_is_left_out(sqlite: Mode, address: str) -> None:
    client = Client(raise_request_exception=False)
    statuses = [client.post(address).status_code for _ in range(4)]
    assert 429 not in statuses[:3]
    assert statuses[3] == 429


# --- addresses -----------------------------------------------------------------------------------


@override_settings(API_RATE=2)
def test_an_ipv6_network_counts_as_one_address(sqlite: Mode) -> None:
    statuses = [
        Client(REMOTE_ADDR=f"2001:db8:1:2:{number}::1").get("/api/v1/").status_code
        for number in range(3)
    ]
    assert statuses == [200, 200, 429]
    assert Client(REMOTE_ADDR="2001:db8:1:3::1").get("/api/v1/").status_code == 200


# --- what is logged -------------------------------------------------------------------------------


def test_each_wrong_password_and_each_wait_is_one_line(
    sqlite: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    forged = 'x" address=203.0.113.9\nsign-in refused: address=203.0.113.9 \u202e'
    for _ in range(11):
        sign_in(forged, "wrong")
    name = r'"x\" address=203.0.113.9\nsign-in refused: address=203.0.113.9 \u202e"'
    refused = f"sign-in refused: address=192.0.2.1 name={name}"
    wait = f"sign-in must wait: address=192.0.2.1 name={name} seconds=300"
    assert lines(caplog) == [refused] * 10 + [wait]

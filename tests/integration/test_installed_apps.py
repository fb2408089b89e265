"""Mistakes that a newcomer makes in INSTALLED_APPS, or with pip: the last line of the error names
the line or the package that is missing."""

import sys
from pathlib import Path

import pytest

from messaging.installed import API as API_PACKAGES
from tests.support.another_project import SITE, run
from tests.support.processes import ROOT

AUTH, TYPES = "django.contrib.auth", "django.contrib.contenttypes"
DJANGO = [AUTH, TYPES, "django.contrib.sessions", "django.contrib.messages"]
SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "x" * 40
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "all.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
POSTLOG = {"READ_DATABASE": "default"}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "urls"
LOGIN_URL = "https://sso.example/in"
"""
URLS = """
from django.contrib import admin
from django.urls import include, path
urlpatterns = []
"""
ADMIN = 'urlpatterns.append(path("admin/", admin.site.urls))\n'
API = 'urlpatterns.append(path("api/", include("messaging.api.urls")))\n'
NO_MESSAGING = "Add the line 'messaging' to it."
HANDLERS = """
from dataclasses import dataclass
from messaging import Appended, UnitOfWork, command, handles
@command(internal=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class LendBook:
    title: str
@handles(LendBook)
def lend_book(command: LendBook, uow: UnitOfWork) -> Appended: ...
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def told(
        self,
        *lines: str,
        urls: str = "",
        without: tuple[str, ...] = (),
        command: str = "check",
        settings: str = "wrong_settings",
    ) -> tuple[int, str]:
        """The exit code of a command, and what it says."""
        (self.folder / "wrong_settings.py").write_text(f"{SETTINGS}INSTALLED_APPS = {[*lines]}\n")
        (self.folder / "urls.py").write_text(URLS + urls)
        done = run(
            Path(sys.executable), self.folder, *command.split(),
            without=without, settings=settings,
            PYTHONPATH=f"{self.folder}:{SITE}:{ROOT}",
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def last_line(self, *lines: str, **also: object) -> str:
        returncode, said = self.told(*lines, **also)  # type: ignore[arg-type]
        assert returncode == 1, said
        return said.rstrip().splitlines()[-1]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        (*DJANGO, "messaging.console"),
        ("messaging.console", *DJANGO),
        (*DJANGO, "messaging.api"),
        (*DJANGO, "orders"),  # whose read models have no other cause to fail
    ],
    ids=lambda lines: lines[0] + " ... " + lines[-1],
)
def test_without_messaging_itself_its_line_is_asked_for(
    project: Project, lines: tuple[str, ...]
) -> None:
    assert project.last_line(*lines).endswith(NO_MESSAGING)


def test_an_api_in_the_urls_of_a_project_without_messaging_asks_for_its_line(
    project: Project,
) -> None:
    assert project.last_line(*DJANGO, "rest_framework", urls=API).endswith(NO_MESSAGING)


@pytest.mark.parametrize("console_first", [True, False])
@pytest.mark.parametrize("admin", ["django.contrib.admin", "django.contrib.admin.apps.AdminConfig"])
def test_the_console_beside_djangos_admin_says_which_line_goes(
    project: Project, admin: str, console_first: bool
) -> None:
    two = ["messaging.console", admin] if console_first else [admin, "messaging.console"]
    said = project.last_line(*two, *DJANGO, "messaging")
    assert said.endswith(f"take the line {admin!r} out.")


@pytest.mark.parametrize(
    "lines", [("messaging.admin", "messaging"), ("messaging", "messaging.admin")]
)
def test_the_admins_pages_need_no_line(project: Project, lines: tuple[str, ...]) -> None:
    said = project.last_line(*DJANGO, *lines)
    assert "'messaging.admin' does not belong in INSTALLED_APPS" in said
    assert "'messaging.console'" in said


def test_a_line_for_the_api_does_no_harm_beside_an_app_called_api(project: Project) -> None:
    (project.folder / "api").mkdir()
    (project.folder / "api" / "__init__.py").touch()
    lines = (*DJANGO, "rest_framework", "messaging", "messaging.api", "api")
    assert project.told(*lines, urls=API)[0] == 0


@pytest.mark.parametrize("missing", ["rest_framework", AUTH])
def test_an_api_without_the_apps_that_it_needs_says_their_lines(
    project: Project, missing: str
) -> None:
    lines = [one for one in (*DJANGO, "rest_framework", "messaging") if one != missing]
    returncode, said = project.told(*lines, urls=API)
    assert (returncode, "(postlog.E012)" in said) == (1, True)
    assert f"Add the line {missing!r} to INSTALLED_APPS." in said
    assert project.told(*lines)[0] == 0, "without the API it is not needed"


def test_tokens_of_rest_framework_need_its_app_too(project: Project) -> None:
    (project.folder / "tokens.py").write_text(
        "from wrong_settings import *\nREST_FRAMEWORK = {'DEFAULT_AUTHENTICATION_CLASSES':"
        " ['rest_framework.authentication.TokenAuthentication']}\n"
    )
    lines = [*DJANGO, "rest_framework", "messaging"]
    said = project.told(*lines, urls=API, settings="tokens")[1]
    assert "Add the line 'rest_framework.authtoken' to INSTALLED_APPS." in said
    lines.append("rest_framework.authtoken")
    assert project.told(*lines, urls=API, settings="tokens")[0] == 0


@pytest.mark.parametrize("package", API_PACKAGES)
def test_an_api_whose_extra_is_not_installed_says_which(project: Project, package: str) -> None:
    """By pip install postlog instead of postlog[api]."""
    lines = [*DJANGO, "messaging", "rest_framework"]
    said = project.last_line(*lines, urls=API, without=(package,))
    assert f"The API needs {package}: pip install 'postlog[api]'" in said


def test_commands_from_a_file_need_the_extra_too(project: Project) -> None:
    for command, needs in (("sendcommands -", True), ("importevents /dev/null", False)):
        lines = [*DJANGO, "messaging"]
        said = project.told(*lines, command=command, without=("rest_framework",))[1]
        asked = "CommandError: The API needs rest_framework: pip install 'postlog[api]'"
        assert said.startswith(asked) == needs, said


@pytest.mark.parametrize("command", ["check", "check --database default", "migrate"])
def test_without_a_word_about_the_read_database_its_line_is_asked_for(
    project: Project, command: str
) -> None:
    (project.folder / "forgotten.py").write_text("from wrong_settings import *\ndel POSTLOG\n")
    said = project.told(*DJANGO, "messaging", command=command, settings="forgotten")[1]
    assert "(postlog.E002) DATABASES['read'] is missing." in said
    assert "set POSTLOG[\"READ_DATABASE\"] = 'default' to keep both sides in one." in said


def test_times_without_zones_are_an_error_of_every_command(project: Project) -> None:
    (project.folder / "wrong_zones.py").write_text("from wrong_settings import *\nUSE_TZ = False\n")
    for command in ("check", "runconsumer --once", "migrate"):
        assert (
            "(postlog.E013)"
            in project.told(*DJANGO, "messaging", command=command, settings="wrong_zones")[1]
        )


def test_a_project_with_rest_framework_of_its_own_needs_no_extra(project: Project) -> None:
    lines = [*DJANGO, "messaging", "rest_framework"]
    without = tuple(one for one in API_PACKAGES if one != "rest_framework")
    returncode, said = project.told(*lines, without=without)
    assert returncode == 0, said


def test_an_app_that_no_line_names_is_warned_of(project: Project) -> None:
    (app := project.folder / "loans").mkdir()
    (app / "apps.py").write_text("")
    (app / "handlers.py").write_text(HANDLERS)
    for lines in ([*DJANGO, "messaging"], [*DJANGO, "messaging", "loans"]):
        said = project.told(*lines)[1]
        assert ("(postlog.W007) loans registers messages" in said) == (lines[-1] != "loans"), said

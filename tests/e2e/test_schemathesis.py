"""The whole OpenAPI document, tried with whatever fits it and whatever does not."""

import json
from base64 import b64encode
from urllib.request import Request, urlopen

import pytest

from tests.e2e.conftest import PASSWORD, Site
from tests.support.processes import Worker

EXAMPLES = 15  # a phase and operation; `make soak` tries more


def token_of(site: Site, name: str) -> str:
    basic = b64encode(f"{name}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    request = Request(f"{site.url}/api/v1/auth/token/", method="POST", headers=headers)
    return str(json.load(urlopen(request))["token"])


def tried(site: Site, examples: int, *options: str) -> None:
    program = ["st", "run", f"{site.url}/api/v1/schema/", "--checks", "all", "--mode", "all",
               "--max-examples", str(examples), "--seed", "1", "--no-color",
               "--suppress-health-check", "all"]  # fmt: skip
    with Worker({}, *options, program=program) as run:
        assert run.wait(280) == 0, run.output()[-6000:]


@pytest.mark.parametrize("who", ["admin", None])
def test_no_answer_is_undocumented_and_none_a_fault(site: Site, who: str | None) -> None:
    options = [] if who is None else ["-H", f"Authorization: Token {token_of(site, who)}"]
    tried(site, EXAMPLES, *options)

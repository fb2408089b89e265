"""The whole OpenAPI document, tried with whatever fits it and whatever does not."""

import json
import sys
from base64 import b64encode
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.e2e.conftest import PASSWORD, Site
from tests.support.processes import Worker

# A stranger is refused before most of what could go wrong. Where everybody may, each value that
# does not fit ("coverage") meets the same code whoever sends it.
PHASES = {"admin": "examples,coverage,fuzzing,stateful", None: "examples,fuzzing,stateful"}
EXAMPLES = {"admin": 4, None: 1}  # a phase and operation


def token_of(site: Site, name: str) -> str:
    basic = b64encode(f"{name}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    request = Request(f"{site.url}/api/v1/auth/token/", method="POST", headers=headers)
    return str(json.load(urlopen(request))["token"])


CONFIG = """
[parameters]
"header.Consistency-Token" = "{token}"
"query.consistency_token" = "{token}"
"query.cursor" = ""

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422", "429"]
"""


def consistency_token(site: Site, token: str) -> str:
    """A valid one: what fits the document is to be accepted, and no pattern makes a signature."""
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    body = json.dumps({"message": "for its token"}).encode()
    address = f"{site.url}/api/v1/commands/new-post/"
    request = Request(address, method="POST", headers=headers, data=body)
    return str(json.load(urlopen(request))["consistency_token"])


@pytest.mark.parametrize("who", ["admin", None])
def test_no_answer_is_undocumented_and_none_a_fault(
    site: Site, tmp_path: Path, who: str | None
) -> None:
    token = token_of(site, "admin")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(token=consistency_token(site, token)))
    signed_in = [] if who is None else ["-H", f"Authorization: Token {token}"]
    program = [str(Path(sys.executable).parent / "st"), "--config-file", str(config), "run"]
    options = ["--checks", "all", "--mode", "all", "--max-examples", str(EXAMPLES[who]),
               "--phases", PHASES[who], "--seed", "1", "--no-color", "--warnings", "off",
               "--suppress-health-check", "all"]  # fmt: skip
    schema = f"{site.url}/api/v1/schema/"
    # It keeps what it finds in the folder that it runs in.
    with Worker({}, *signed_in, *options, schema, program=program, folder=tmp_path) as run:
        assert run.wait(280) == 0, run.output()[-8000:]

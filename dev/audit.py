"""`python -m dev.audit`: known vulnerabilities of what the requirements name.

Part of `make check`. Exit code 1 with a vulnerability. Where the service that knows them cannot
be reached this is said, and no failure: a check must not depend on somebody else's server.
"""

import json
import subprocess
import sys
from typing import NamedTuple

FILES = ("requirements.txt", "requirements-dev.txt")
WITHIN_S = 180


class Verdict(NamedTuple):
    code: int
    text: str


def verdict(name: str, output: str, errors: str) -> Verdict:
    """Of pip-audit's JSON and its standard error, for one file of requirements.

    Its exit code does not tell a vulnerability from a service that is away, and a package that
    the service does not know is skipped with exit code 0.
    """
    try:
        packages = json.loads(output)["dependencies"]
    except ValueError:
        last = errors.strip().splitlines()[-1:] or ["no answer"]
        return Verdict(0, f"{name} NOT audited: {last[0][:200]}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        f"{name}: {package['name']} {package['version']} has {vulnerability['id']}; fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    ]
    if found:
        return Verdict(1, "\n".join(found))
    if len(skipped) == len(packages):
        return Verdict(0, f"{name} NOT audited: the service knows none of its packages.")
    but = f", but for {', '.join(skipped)}, which the service does not know" if skipped else ""
    return Verdict(0, f"{name}: no known vulnerability in {len(packages) - len(skipped)}{but}.")


def audit(name: str) -> Verdict:
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
    options = ["--progress-spinner", "off", "--format", "json", "-r", name]
    try:
        done = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Verdict(0, f"{name} NOT audited: no answer within {WITHIN_S} s.")
    return verdict(name, done.stdout, done.stderr)


def main() -> int:
    verdicts = [audit(name) for name in FILES]
    print(*(found.text for found in verdicts), sep="\n")  # noqa: T201
    return max(found.code for found in verdicts)


if __name__ == "__main__":
    sys.exit(main())

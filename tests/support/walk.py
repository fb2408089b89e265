"""Follow pages of docs/ as their reader does: write the files that they show, run their commands,
compare what these print. A page needs no marks for it that its reader does not see:

```python title="orders/events.py"       is a file, written whole
```python title="orders/tests.py, at the end"    is added to a file
```diff title="shop/settings.py"        changes a file: its unmarked and `-` lines are there, once
```sh                                   is run, in one shell for all pages, and must succeed
```sh title="in another shell"          is started, and ended with the pages
```text                                 behind a command is what it prints; … stands for anything
```json                                 so too, however it is spaced
"""

import json
import os
import re
import selectors
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from messaging.testing import wait_until
from tests.support.another_project import install

FENCE = re.compile(r"^```([a-z]+)[ ]*(?:title=\"(.+?)\")?\n(.*?)^```$", re.M | re.S)
END = ", at the end"
ELSEWHERE = "in another shell"
DONE = "-- done --"
SECONDS = 120
QUICK = Path(__file__).with_name("quick_passwords")  # found first by each Python of a walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    language: str
    title: str
    text: str
    follows: bool  # directly behind the block before
    section: str  # the heading above it
    where: str


def blocks_of(page: Path) -> Iterator[Block]:
    text, last = page.read_text(encoding="utf-8"), 0
    for found in FENCE.finditer(text):
        language, title, content = found.groups(default="")
        section = re.findall(r"^##+ (.+)$", text[: found.start()], re.M)[-1:]
        where = f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}"
        follows = last > 0 and not text[last : found.start()].strip()
        yield Block(
            language=language,
            title=title,
            text=content,
            follows=follows,
            section="".join(section),
            where=where,
        )
        last = found.end()


class Walk:
    """A newcomer at work in `folder`. `instead` replaces what the pages name, such as an address,
    by what is there."""

    def __init__(
        self, folder: Path, wheel: Path, instead: dict[str, str] | None = None, **env: str
    ) -> None:
        self._folder, self._wheel = folder, wheel
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        self._instead = {**(instead or {}), ":8000": f":{self.port}"}
        self._address = ("127.0.0.1", int(self.port))
        self._others: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[Block] = []
        known = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
        env["PYTHONPATH"] = ":".join(filter(None, [str(QUICK), env.get("PYTHONPATH")]))
        self._env = {**known, "PYTHONUNBUFFERED": "1", "COLUMNS": "80", **env}
        self._shell = subprocess.Popen(
            ["bash", "-e"],
            cwd=folder,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        for one in self._others.values():
            ended(one)
        with self._shell:  # closes its pipes
            os.killpg(self._shell.pid, signal.SIGKILL)

    def follow(self, page: Path, *sections: str) -> None:
        """All of the page, or these sections of it."""
        printed: str | None = None
        for block in blocks_of(page):
            if sections and block.section not in sections:
                continue
            if block.language == "sh":
                printed = self._start(block) if block.title else self._run(block)
            elif block.title:
                self._write(block)
            elif block.language in ("text", "json") and block.follows and printed is not None:
                wanted = self._here(block.text)
                if block.language == "json":
                    printed, wanted = spaced(printed), spaced(wanted)
                assert re.fullmatch(pattern_of(wanted), f"{printed.strip()}\n"), (
                    f"{block.where} shows\n{wanted}\nand it was\n{printed}"
                )
            elif block.language in ("python", "diff"):
                raise AssertionError(f"{block.where}: which file is this?")

    def restart(self) -> None:
        """What runs in other shells: its code has changed."""
        for block in [*self._started]:
            self._start(block)

    @property
    def here(self) -> Path:
        """The folder that the shell is in."""
        return Path(os.readlink(f"/proc/{self._shell.pid}/cwd"))

    def _write(self, block: Block) -> None:
        path = self.here / block.title.removesuffix(END)
        path.parent.mkdir(parents=True, exist_ok=True)
        if block.language == "diff":
            path.write_text(self._here(changed(path.read_text(), block)))
        elif block.title.endswith(END):
            path.write_text(f"{path.read_text()}\n\n{block.text}")
        else:
            path.write_text(block.text)

    def _run(self, block: Block) -> str:
        commands = self._installed(self._here(block.text))
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{commands}\necho '{DONE}'\n".encode())
        self._shell.stdin.flush()
        printed, deadline = b"", time.monotonic() + SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._shell.stdout, selectors.EVENT_READ)
            while not printed.endswith(f"{DONE}\n".encode()):
                ready = selector.select(deadline - time.monotonic())
                more = os.read(self._shell.stdout.fileno(), 65536) if ready else b""
                assert more, f"{block.where} failed:\n{block.text}\n{printed.decode()}"
                printed += more
        return printed.decode().removesuffix(f"{DONE}\n")

    def _start(self, block: Block) -> None:
        assert block.title == ELSEWHERE, block.where
        if (running := self._others.pop(block.text, None)) is not None:
            ended(running)  # its reader starts it again
        else:
            self._started.append(block)
        command = shlex.split(self._here(block.text))
        is_server = "runserver" in command
        command += ["--noreload", f"{self._address[1]}"] if is_server else []
        command[0] = str(self.here / ".venv" / "bin" / command[0])
        log = self._folder / "another-shell.log"
        with log.open("ab") as printed:
            self._others[block.text] = started = subprocess.Popen(
                command, cwd=self.here, stdout=printed, stderr=printed, env=self._env
            )
        if is_server:
            wait_until(lambda: started.poll() is not None or self._is_served(), "it listens", 60)
            assert started.poll() is None, f"{block.where}: {log.read_text()}"

    def _is_served(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self._address) == 0

    def _installed(self, commands: str) -> str:
        """Do what the commands that make an environment and install packages do, and return the
        others. No network is needed: what the wheel requires is in the tests' environment."""
        for line in commands.splitlines():
            if line.startswith("pip install"):
                package, *also = shlex.split(line)[2:]
                if package == "-r":
                    continue  # what this environment has
                extras = re.findall(r"\w+", package.partition("[")[2])
                install(self._wheel, self.here / ".venv", *also, extras=extras)
        return re.sub(r"^(python3 -m venv|pip install) .*$", "", commands, flags=re.M)

    def _here(self, text: str) -> str:
        for name, instead in self._instead.items():
            text = text.replace(name, instead)
        return text


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(20)


def changed(text: str, block: Block) -> str:
    lines = block.text.splitlines()
    assert all(line[:1] in ("", " ", "-", "+") for line in lines), block.where
    old = "\n".join(line[1:] for line in lines if line[:1] != "+")
    new = "\n".join(line[1:] for line in lines if line[:1] != "-")
    assert text.count(old) == 1, f"{block.where}: not once in {block.title}:\n{old}"
    return text.replace(old, new)


def spaced(text: str) -> str:
    """JSON in one form. With … for anything that is no JSON itself, as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text


def pattern_of(wanted: str) -> str:
    """… on a line of its own stands for any lines, within a line for any text."""
    lines = []
    for line in wanted.strip().splitlines():
        parts = ".*?".join(map(re.escape, line.split("…")))
        lines.append("(?:.*\n)*?" if line.strip() == "…" else f"{parts}\n")
    return "".join(lines)

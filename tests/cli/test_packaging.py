"""What is shipped and what is locked."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import grpc
import pytest
from packaging.requirements import Requirement

from tests.processes import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
_GROUPS = ("requirements.lock", "services"), ("requirements-dev.lock", "dev"), ("requirements-bench.lock", "bench")
CLIENT_NEEDS = ("grpc", "grpc_status", "google", "typing_extensions.py")
"""grpcio, grpcio-status, googleapis-common-protos and protobuf, and what grpcio itself brings."""


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
    services, dev, bench = (locked(lock) for lock, _ in _GROUPS)
    assert {name: dev.get(name) for name in services} == services
    assert {name: bench.get(name) for name in dev} == dev


@pytest.mark.parametrize("lock", [*(lock for lock, _ in _GROUPS), "requirements-uv.lock"])
def test_everything_locked_has_hashes_and_no_registry(lock: str) -> None:
    text = (REPOSITORY / lock).read_text()
    packages = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert "--index" not in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    program = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, folder], cwd=REPOSITORY, check=True, timeout=60, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_shared_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    version = PROJECT["project"]["version"]
    assert {name.split("/")[0] for name in names} == {"livecomments", f"livecomments-{version}.dist-info"}
    assert {"livecomments/v1/comment_pb2.pyi", "livecomments/py.typed"} <= set(names)


def test_the_wheels_client_needs_grpc_and_protobuf_alone(wheel: Path, tmp_path: Path) -> None:
    site = Path(grpc.__file__).parent.parent
    for name in CLIENT_NEEDS:
        (tmp_path / name).symlink_to(site / name)
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import livecomments.client as client; "
        "print(client.__file__); import importlib.util; print(importlib.util.find_spec('typer'))"
    )
    imported = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, wheel, tmp_path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    assert imported.stdout.splitlines() == [f"{wheel}/livecomments/client.py", "None"]

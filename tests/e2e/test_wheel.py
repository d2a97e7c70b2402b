"""The wheel in an empty environment, against the running system."""

import json
from pathlib import Path

import pytest

from tests.commands import bash, with_environment
from tests.processes import REPOSITORY
from tests.system import System
from tests.texts import examples
from tests.wheel import Environment

NEEDS = {"grpcio", "grpcio-status", "googleapis-common-protos", "protobuf"}
"""What design.md allows; typing-extensions is grpcio's own."""
BUILD, MAKE_TOKEN = examples("docs/python.md", "sh")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("wheel")
    assert BUILD.endswith(" -d dist\n")
    bash(BUILD.replace("-d dist", f"-d '{folder}'"), REPOSITORY)
    (wheel,) = folder.iterdir()
    return Environment(tmp_path_factory.mktemp("empty") / "venv", wheel)


def test_the_wheel_brings_grpc_and_protobuf_and_nothing_else(installed: Environment, tmp_path: Path) -> None:
    assert installed.packages() == {"livecomments", "typing-extensions"} | NEEDS
    where = installed.run("import livecomments.client; print(livecomments.client.__file__)", tmp_path)
    assert Path(where).is_relative_to(installed.python.parent.parent)


def test_the_pages_python_examples_run_there(installed: Environment, system: System, tmp_path: Path) -> None:
    system.create_stream("demo")
    (tmp_path / "data").mkdir()
    addresses = {"core": system.core.address, "fanout": system.fanout.address, "storage": system.storage.address}
    (tmp_path / "data" / "instance.json").write_text(json.dumps(addresses))
    bash(MAKE_TOKEN, with_environment(tmp_path), LIVECOMMENTS_DATA_DIR=str(system.data_dir))
    (first,) = examples("README.md", "python")
    assert installed.run(first, tmp_path).startswith("posted ")
    blocking, asynchronous = examples("docs/python.md", "python")
    shown = installed.run(blocking, tmp_path)
    assert "posted " in shown
    assert "Hello from Python" in shown.split("seen ")[1]
    assert installed.run(asynchronous, tmp_path) == "seen Hello again\n"

"""A real CQL server for tests: Apache Cassandra on Java, from Maven's jars, without a container.

It speaks the protocol and the CQL that ScyllaDB speaks, to the same driver. What is ScyllaDB's alone (shards, tablets,
``BYPASS CACHE``) fails or is not exercised here.
"""

import os
import shutil
import socket
import string
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.processes import REPOSITORY, Process, eventually

HERE = Path(__file__).parent
JARS = HERE / "lib"
START_S = 200
"""It takes 5 s where two cores are free."""


def find_java() -> str | None:
    """Java 17, which need not be the machine's default."""
    candidates = [*map(str, Path("/usr/lib/jvm").glob("java-17-*/bin/java")), shutil.which("java")]
    for java in filter(None, candidates):
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
        if 'version "17.' in told:
            return java
    return None


def require_server() -> None:
    """Skips the test that asks where no CQL server can be started; in CI, fails it."""
    missing = None
    if find_java() is None:
        missing = "there is no Java 17"
    elif not any(JARS.glob("cassandra-all-*.jar")):
        missing = f"there are no jars in {JARS.relative_to(REPOSITORY)}"
    if missing is not None:
        why = f"no CQL server can be started: {missing}; scripts/test installs what is needed where it can"
        assert not os.environ.get("CI"), why
        pytest.skip(why)


class CqlServer(Process):
    """One server; a restart keeps the port and the data. Dies with the process whose main thread started it."""

    def __init__(self, folder: Path, more: str = "", jvm: Sequence[str] = ()) -> None:
        """``more`` is added to its configuration, ``jvm`` to Java's options, of which the last counts."""
        self.port = _free_port()
        self._began_at = 0
        self._folder = folder.resolve()
        for name in ("tmp", "triggers"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        template = string.Template((HERE / "cassandra.yaml.in").read_text())
        configuration = self._folder / "cassandra.yaml"
        configuration.write_text(
            template.substitute(port=self.port, storage_port=_free_port(), folder=self._folder, more=more)
        )
        java = find_java()
        assert java is not None
        options = (line.strip() for line in (HERE / "jvm.options").read_text().splitlines())
        command = [
            java,
            f"-javaagent:{next(JARS.glob('jamm-*.jar'))}",
            *(option for option in options if option and not option.startswith("#")),
            *jvm,
            f"-Dcassandra.config={configuration.as_uri()}",
            f"-Dcassandra.storagedir={self._folder}",
            f"-Dcassandra.triggers_dir={self._folder / 'triggers'}",
            f"-Dlogback.configurationFile={HERE / 'logback.xml'}",
            f"-Djava.io.tmpdir={self._folder / 'tmp'}",
            "-cp",
            f"{JARS}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]
        super().__init__("cql", command, self._folder)

    def start(self) -> None:
        self.begin()
        eventually(self.serves, "the CQL server serves", START_S)

    def begin(self) -> None:
        """Starts it, without waiting until it serves."""
        self._began_at = self.output.stat().st_size if self.output.exists() else 0
        self.spawn()

    def serves(self) -> bool:
        """Whether it does, since it was started last; fails when it has ended by itself."""
        return self.alive() and "Startup complete" in self._said()

    def _said(self) -> str:
        with self.output.open("rb") as output:
            output.seek(self._began_at)
            return output.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

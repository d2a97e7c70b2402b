"""Every command of the README, run as it stands there."""

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.processes import REPOSITORY, Process, eventually
from tests.system import System

README = (REPOSITORY / "README.md").read_text()
APART_PORTS = ("4222", "7101", "7201", "7301", "8080", "8081", "9180", "9181")


def blocks(heading: str, language: str) -> list[str]:
    """The examples under a heading, in order."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def bash(script: str, folder: Path, **variables: str) -> str:
    """What a script prints; fails when its last command fails."""
    environment = {**os.environ, "no_proxy": "*", **variables}
    done = subprocess.run(
        ["bash", "-uc", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_ports(count: int) -> list[str]:
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [str(probe.getsockname()[1]) for probe in sockets]


def answers(port: str) -> bool:
    """Somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def test_five_minutes_of_curl_show_what_they_say(system: System) -> None:
    script = "\n".join(blocks("Five minutes of curl", "bash")).replace("http://127.0.0.1:8080", system.url)
    assert script.count("curl ") >= 12
    # curl ends with 28 where --max-time cuts a feed that has no end; the last command is none of those.
    output = bash(script, REPOSITORY, LIVECOMMENTS_DATA_DIR=str(system.data_dir))
    assert '"reason"' not in output, output
    assert '"title":"The final"' in output
    posted = re.findall(r'\{"comment_id":"[^"]*","posted_at":[^}]*\}', output)
    assert posted[0] == posted[1], "the repeat got the first answer"
    first, resumed = output.split('{"events"')[0].split("retry: ")[1:3]
    assert '"text":"What a goal!"' in first
    assert '"recovered":true' in resumed
    assert '"text":"missed"' in resumed
    assert '"text":"seen"' not in resumed
    assert '"poll_after_ms":' in output
    assert '"through_cursor":' in output
    assert '"streams":["final","semifinal"]' in output
    assert re.search(r'"poll_after_ms":\d+}[^{]*final[^{]*What a goal![^{]*seen[^{]*missed', output), (
        "as gRPC-web has it"
    )
    assert 'data: {"stream_id":"final","data":{"stream":{"stream_id":"final"' in output
    assert '"state":"ended"' in output
    replay = eventually(lambda: complete_replay(system, "final"), "the replay is complete")
    assert [comment["text"] for comment in replay] == ["What a goal!", "seen", "missed"], "what was deleted is gone"


def complete_replay(system: System, stream_id: str) -> list[dict[str, str]] | None:
    """The first hour, once the store holds the stream's end."""
    page = system.request("GET", f"/v1/streams/{stream_id}/comments?duration=3600").json()
    return page["comments"] if page["complete"] else None


def test_the_python_example_runs(system: System, tmp_path: Path) -> None:
    system.create_stream("demo")
    (tmp_path / "data").mkdir()
    addresses = {"core": system.core.address, "fanout": system.fanout.address, "storage": system.storage.address}
    (tmp_path / "data" / "instance.json").write_text(json.dumps(addresses))
    (tmp_path / "token.txt").write_text(system.token("ann") + "\n")
    (example,) = blocks("From Python", "python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "posted " in done.stdout
    assert "Hello from Python" in done.stdout.split("seen ")[1]


def test_the_parts_run_apart(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    ports = dict(zip(APART_PORTS, free_ports(len(APART_PORTS)), strict=True))

    def at_free_ports(text: str) -> str:
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: ports[port[0]], text)

    set_up, tour = map(at_free_ports, blocks("Running the parts apart", "bash"))
    (terminals,) = map(at_free_ports, blocks("Running the parts apart", "sh"))
    bash(set_up, tmp_path)
    serving = [ports[port] for port in ("4222", "7301", "7101", "7201", "8080", "8081")]
    with ExitStack() as running:
        for number, (line, port) in enumerate(zip(terminals.splitlines(), serving, strict=True)):
            # exec: what is ended in the end is the service, and not a shell around it.
            command = 'cd "$0"; ' + line.replace(".venv/", "exec .venv/")
            process = Process(f"terminal-{number}", ["bash", "-c", command, str(tmp_path)], tmp_path)
            running.enter_context(process)
            eventually(lambda p=process, n=port: p.alive() and answers(n), f"serves: {line}")
        for edge in ("8080", "8081"):
            url = f"http://127.0.0.1:{ports[edge]}/readyz"
            eventually(lambda u=url: httpx.get(u, trust_env=False).status_code == 200, f"{url} is ready")
        output = bash(tour, tmp_path)
    created, posted, *seen = output.replace("}{", "}\n{").splitlines()
    assert '"stream_id":"apart"' in created
    assert '"cursor":' in posted
    assert '"text":"from one edge"' in "".join(seen)

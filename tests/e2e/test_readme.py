"""Every command of the README, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.processes import REPOSITORY
from tests.system import System

README = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_five_minutes_of_curl_show_what_they_say(system: System) -> None:
    script = "\n".join(blocks("bash")).replace("http://127.0.0.1:8080", system.url)
    assert script.count("curl ") >= 12
    environment = {**os.environ, "LIVECOMMENTS_DATA_DIR": str(system.data_dir), "no_proxy": "*"}
    # curl ends with 28 where --max-time cuts a feed that has no end.
    done = subprocess.run(
        ["bash", "-c", script], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    output = done.stdout
    assert "problem" not in output, output
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
    assert '"state":"ended"' in output
    assert "oops" not in [c["text"] for c in system.stored("final", lambda comments: len(comments) == 3)]


def test_the_python_example_runs(system: System, tmp_path: Path) -> None:
    system.create_stream("demo")
    (tmp_path / "data").mkdir()
    addresses = {"core": system.core.address, "fanout": system.fanout.address, "storage": system.storage.address}
    (tmp_path / "data" / "instance.json").write_text(json.dumps(addresses))
    (tmp_path / "token.txt").write_text(system.token("ann") + "\n")
    (example,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "posted " in done.stdout
    assert "Hello from Python" in done.stdout.split("seen ")[1]

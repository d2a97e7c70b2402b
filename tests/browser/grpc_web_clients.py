"""A page with the two gRPC-web clients in it, made from their npm packages; see grpc_web/clients.js."""

import shutil
import subprocess
import sys
from pathlib import Path

import google.rpc
import playwright

from tests.processes import REPOSITORY

SOURCES = REPOSITORY / "tests" / "browser" / "grpc_web"
PACKAGES = SOURCES / "node_modules"
"""Filled by scripts/test."""
_PAGE = '<!doctype html><meta charset="utf-8"><title>gRPC-web clients</title><script src="clients.js"></script>'


def build(folder: Path) -> None:
    """Generates the stubs, and bundles them with both clients into one script with its page."""
    (stubs := folder / "stubs").mkdir()
    shutil.copy(SOURCES / "clients.js", folder / "source.js")
    (folder / "node_modules").symlink_to(PACKAGES)
    google_protos = Path(next(iter(google.rpc.__path__))).parent.parent
    protos = [
        *(REPOSITORY / "protos").rglob("*.proto"),
        *(google_protos / "google" / "rpc" / name for name in ("error_details.proto", "status.proto")),
    ]
    # By Playwright's own Node: the plugin wants 20, and a distribution's may be older.
    plugin = folder / "protoc-gen-es"
    node = Path(playwright.__file__).parent / "driver" / "node"
    plugin.write_text(f'#!/bin/sh\nexec "{node}" "{PACKAGES / ".bin" / "protoc-gen-es"}"\n')
    plugin.chmod(0o755)
    generate = [sys.executable, "-m", "grpc_tools.protoc", f"--plugin={plugin}", f"--es_out={stubs}"]
    _run([*generate, "--es_opt=target=js", f"-I{REPOSITORY / 'protos'}", f"-I{google_protos}", *map(str, protos)])
    bundle = [str(PACKAGES / ".bin" / "esbuild"), "--bundle", "--format=iife", "--log-level=warning"]
    _run([*bundle, f"--outfile={folder / 'clients.js'}", str(folder / "source.js")])
    (folder / "index.html").write_text(_PAGE)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

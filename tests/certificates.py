"""Certificates for 127.0.0.1, made by the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate that signs itself, and of its key."""

    cert: Path
    key: Path


def make_certificate(folder: Path, name: str = "edge", *, password: str = "") -> Certificate:
    made = Certificate(folder / f"{name}.cert.pem", folder / f"{name}.key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    command += ["-passout", f"pass:{password}"] if password else ["-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-out", str(made.cert), "-keyout", str(made.key)], check=True, capture_output=True, timeout=30
    )
    return made

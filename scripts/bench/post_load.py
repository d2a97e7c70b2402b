"""Posters at an edge's door: ``load/post_load.c``, on the load core."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

import machine
from answers import Answers
from native import program

_NAP_US = 300
_SOURCE = "127.0.250.1"


class PostLoad:
    """Posters, each with a connection of its own that stays open for as long as the context is."""

    def __init__(self, port: int, way: str, stream: str, tokens: Sequence[str], nap_us: int = _NAP_US) -> None:
        """``way``: "http" or "websocket"; ``tokens``: one for each poster."""
        self._port = port
        self._way = way
        self._path = f"/v1/streams/{stream}/{'comments' if way == 'http' else 'feed'}"
        self._tokens = tokens
        self._nap_us = nap_us
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            tokens = opening.enter_context(tempfile.NamedTemporaryFile("w"))
            tokens.write("".join(f"{token}\n" for token in self._tokens))
            tokens.flush()
            command = ["taskset", "-c", str(machine.cores()[1]), str(program("load/post_load.c"))]
            arguments = [str(self._port), _SOURCE, self._way, self._path, tokens.name, str(self._nap_us)]
            self._process = opening.enter_context(
                subprocess.Popen(
                    [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
                )
            )
            self._hear()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def offer(self, rate: float, seconds: float) -> Answers:
        """Posts ``rate`` comments/s for so long, whatever becomes of them; each poster has its turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"post {rate} {seconds}\n")
        told = self._hear()
        late_ms = [tick * told["tick_us"] / 1000 for tick, count in told["late"] for _ in range(count)]
        return Answers(told["posts"], told["seconds"], late_ms)

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the load generator ended with {self._process.wait()}")
        return json.loads(line)

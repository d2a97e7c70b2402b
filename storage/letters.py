"""Dead letters as files, each written whole and synced, or not at all. Blocks: for a thread."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that can't be written, and where it came from."""

    shard: int
    cursor: str
    """Its place in the log."""
    stream_id: str
    reason: str
    """One line of ASCII."""
    data: bytes


class LetterBox:
    """The letters of a folder, which is made when the first one comes. One process uses it at a time, or several: a
    letter that is put again is the same file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.count = len(self.paths())
        """How many letters are in it, as far as this process put them in or has looked."""

    def paths(self) -> list[Path]:
        """The files, in the order of their names."""
        return sorted(self._folder.glob("*.letter"))

    def put(self, letter: Letter) -> None:
        """On disk when this returns; raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{letter.shard}-{letter.cursor}.letter"
        head = {name: value for name, value in asdict(letter).items() if name != "data"}
        unfinished = path.with_suffix(f".{os.getpid()}")
        with unfinished.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n" + letter.data)
            file.flush()
            os.fsync(file.fileno())
        self.count += not path.exists()
        unfinished.rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, path: Path) -> Letter:
        """A letter that is there; raises OSError."""
        head, _, data = path.read_bytes().partition(b"\n")
        return Letter(**json.loads(head), data=data)

    def remove(self, path: Path) -> None:
        """It has come to where it belongs."""
        path.unlink(missing_ok=True)
        self.count = len(self.paths())

"""What would be published, and that a strict TypeScript program can use it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import program
from tests.processes import REPOSITORY

CLIENT = REPOSITORY / "clients" / "js"
TYPES = REPOSITORY / "tests" / "clients" / "js" / "types"
_CHECKED_SOURCES = {
    "extends": str(TYPES / "tsconfig.json"),
    "compilerOptions": {
        "allowJs": True,
        "checkJs": True,
        "noUncheckedIndexedAccess": False,
        "module": "esnext",
        "moduleResolution": "bundler",
    },
    "include": [str(CLIENT / "src" / "**" / "*.js")],
}


def run(command: list[str], folder: Path) -> str:
    """What a command prints; fails when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tsc() -> list[str]:
    """The compiler's command; scripts/test installs it."""
    compiler = program((str(TYPES / "node_modules" / ".bin" / "tsc"),), "TypeScript")
    return [program(("node", "nodejs"), "node (20 or newer)"), str(Path(compiler).resolve())]


def test_what_would_be_published_is_the_modules_the_types_the_licence_and_the_readme() -> None:
    npm = program(("npm",), "npm")
    (packed,) = json.loads(run([npm, "pack", "--dry-run", "--json"], CLIENT))
    names = {file["path"] for file in packed["files"]}
    modules = {str(path.relative_to(CLIENT)) for path in CLIENT.glob("src/**/*.js")}
    assert names == {"package.json", "README.md", "LICENSE", "types/index.d.ts"} | modules
    assert (CLIENT / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()


def test_it_needs_nothing_else_and_names_what_it_exports() -> None:
    package = json.loads((CLIENT / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & package.keys()
    for place in package["exports"]["."].values():
        assert (CLIENT / place).is_file()


def test_a_strict_program_compiles_against_the_package_as_it_is_published(tsc: list[str], tmp_path: Path) -> None:
    npm = program(("npm",), "npm")
    (packed,) = json.loads(run([npm, "pack", "--json", "--pack-destination", str(tmp_path)], CLIENT))
    run(["tar", "-xzf", packed["filename"]], tmp_path)
    installed = tmp_path / "node_modules" / "@livecomments" / "client"
    installed.parent.mkdir(parents=True)
    (tmp_path / "package").rename(installed)
    for name in ("consumer.ts", "tsconfig.json"):
        shutil.copy(TYPES / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run([*tsc, "--project", str(tmp_path)], tmp_path)


def test_the_modules_are_what_the_types_say(tsc: list[str], tmp_path: Path) -> None:
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps(_CHECKED_SOURCES))
    run([*tsc, "--project", str(project)], tmp_path)

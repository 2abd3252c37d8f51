"""The Containerfile copies what the build of the package needs."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def copies() -> list[tuple[list[str], str]]:
    """List what the build stage copies out of the project: sources, and the destination."""
    found = []
    for line in (ROOT / "packaging" / "Containerfile").read_text("utf-8").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from="):
            found.append((words[1:-1], words[-1]))
    return found


def copy(source: Path, destination: Path, into: bool) -> None:
    """Copy as COPY does: a folder's contents, a file into a folder or under a name."""
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        target = destination / source.name if into else destination
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def test_a_wheel_is_built_of_what_the_containerfile_copies(tmp_path: Path) -> None:
    assert copies()
    for sources, destination in copies():
        for source in sources:
            copy(ROOT / source, tmp_path / destination.lstrip("/"), destination.endswith("/"))
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")],
        cwd=tmp_path / "build",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert list((tmp_path / "wheel").glob("pennypost-*.whl"))

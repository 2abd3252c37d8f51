"""A full disk: StorageFull, nothing half stored, nothing acknowledged lost, and all well when there is room again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pennypost

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(pennypost.__file__).parents[1])}


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    run([sys.executable, "-m", "tests.faults.full", str(tmp_path / "data"), "limit"])


def test_a_small_file_system(tmp_path: Path) -> None:
    """Our own file system of 16 MiB, in a mount namespace that ends with the process."""
    unshare = shutil.which("unshare")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "none", str(tmp_path)]
    if unshare is None or subprocess.run([unshare, "-rm", *mount], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    script = '"$@" && exec "$PYTHON" -m tests.faults.full "$DATA" ballast'
    command = [unshare, "-rm", "env", f"PYTHON={sys.executable}", f"DATA={tmp_path}", "sh", "-c", script, "sh", *mount]
    run(command)

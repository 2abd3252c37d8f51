"""Compile the hot modules when a wheel is built, if PENNYPOST_COMPILE=1 asks for it (`make wheel` does).

The source is the same, and runs uncompiled too. What is compiled is named in pyproject.toml, [tool.pennypost.compile].
"""

import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def modules(root: Path) -> list[str]:
    """List the files to compile, relative to `root`."""
    chosen = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["pennypost"]["compile"]
    found = {str(file.relative_to(root)) for pattern in chosen["modules"] for file in root.glob(pattern)}
    left_out = set(chosen["not"])
    if unknown := left_out - found:
        raise ValueError(f"[tool.pennypost.compile] not: there is no {', '.join(sorted(unknown))}")
    return sorted(found - left_out)


def compile_modules(root: Path, scratch: Path) -> list[Path]:
    """Compile into `scratch / "lib"`. Gives the libraries that were made."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    options = [f"--python-version={sys.version_info.major}.{sys.version_info.minor}", "--config-file=", "--strict"]
    os.environ["MYPYPATH"] = str(root / "src")
    before = Path.cwd()
    os.chdir(root)
    try:
        extensions = mypycify(
            [*options, f"--cache-dir={scratch / 'cache'}", *modules(root)],
            opt_level=os.environ.get("PENNYPOST_OPTIMISE", "2"),
            debug_level="0",
            target_dir=str(scratch / "c"),
            group_name="pennypost",
        )
        distribution = Distribution({"name": "pennypost", "ext_modules": extensions, "package_dir": {"": "src"}})
        command = build_ext(distribution)
        command.build_lib = str(scratch / "lib")
        command.build_temp = str(scratch / "objects")
        command.ensure_finalized()
        command.run()
        return [Path(output) for output in command.get_outputs()]
    finally:
        os.chdir(before)


class CompileHook(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say that the wheel is for this platform only."""
        if self.target_name != "wheel" or version == "editable" or os.environ.get("PENNYPOST_COMPILE") != "1":
            return
        self._scratch = tempfile.TemporaryDirectory(prefix="pennypost-compile-")
        scratch = Path(self._scratch.name)
        for library in compile_modules(Path(self.root), scratch):
            build_data["force_include"][str(library)] = str(library.relative_to(scratch / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Throw away what the build left."""
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()


def main(target: Path) -> None:
    """Put the package into a folder with its modules compiled, so that tests can run on it (`make test-compiled`)."""
    root = Path(__file__).parents[1]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "src", target, ignore=shutil.ignore_patterns("__pycache__"))
    with tempfile.TemporaryDirectory(prefix="pennypost-compile-") as name:
        for library in compile_modules(root, Path(name)):
            shutil.copy2(library, target / library.relative_to(Path(name) / "lib"))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

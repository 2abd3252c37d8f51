"""Run commands within the process of the tests, on a store of their own."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pennypost.cli.main import main


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, typed: str | None = None) -> str:
        status, output, errors = self.run(*arguments, typed=typed)
        assert (status, errors) == (0, ""), errors
        return output

    def run(self, *arguments: str, typed: str | None = None) -> tuple[int, str, str]:
        settings = (
            f"server.data_dir={self.folder}",
            "auth.hash_memory=8 KiB",
            "auth.hash_passes=1",
            "dkim.rsa_bits=1024",
        )
        options = [part for setting in settings for part in ("--set", setting)]
        result = CliRunner().invoke(main, [*arguments, *options], input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    def records(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self(*arguments, "--json"))
        return found

"""Two processes at a time that write something beside the store, and are killed meanwhile: round after round."""

import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pennypost
from pennypost.model.ids import AccountId
from pennypost.store import directory
from pennypost.store.store import Store

from .load import settings

ROOT = Path(__file__).parents[2]
ROUNDS = max(3, int(os.environ.get("PENNYPOST_KILL_ROUNDS", "15")) // 3)
PROCESSES = 2
SEED = os.environ.get("PENNYPOST_KILL_SEED", "pennypost")


def start(module: str, data_dir: Path, name: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{module}", str(data_dir), name],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(Path(pennypost.__file__).parents[1])},
    )


def load_and_kill(data_dir: Path, round_: int, chance: random.Random, module: str) -> None:
    processes = [start(module, data_dir, f"r{round_}p{n}") for n in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() in (b"indexed\n", b"listed\n")
    time.sleep(chance.uniform(0.0, 0.4))
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def after_kills(data_dir: Path, module: str, chance: random.Random) -> AsyncIterator[tuple[Store, AccountId]]:
    """Give the store, and its account, after each round of killing. Who takes it closes it."""
    store = await Store.open(settings(data_dir))
    await store.write(lambda tx: directory.add_domain(tx, "example.com"))
    account = (await store.write(lambda tx: directory.add_account(tx, "one@example.com"))).id
    await store.close()
    for round_ in range(ROUNDS):
        load_and_kill(data_dir, round_, chance, module)
        yield await Store.open(settings(data_dir)), account

"""What the fuzzers of protocol machines share: try conversations for a time, and name the seed of one that fails."""

import random
import sys
import time
from collections.abc import Callable


def fuzz(name: str, once: Callable[[random.Random], object], seconds: float, seed: int | None) -> int:
    """Call `once` for a time; give how many conversations were tried. What it raises goes through."""
    seed = seed if seed is not None else random.randrange(2**32)
    chance = random.Random(seed)
    deadline = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < deadline:
        try:
            once(chance)
        except BaseException:
            sys.stderr.write(f"{name}: seed {seed}, conversation {tried}\n")
            raise
        tried += 1
    return tried


def command(name: str, main: Callable[..., int]) -> None:
    """Run `main` with the command line's [SECONDS] [SEED]."""
    count = main(*(float(each) for each in sys.argv[1:2]), *(int(each) for each in sys.argv[2:3]))
    sys.stdout.write(f"{name}: {count} conversations\n")

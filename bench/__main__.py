"""Run the measurements that need nothing but this project: python -m bench [NAME …].

Without names: reading messages (mime) and the store. `bench/README.md` says what else there is.
"""

import runpy
import sys

DEFAULT = ("mime", "store")


def main() -> None:
    """Run each measurement in turn, as if it had been called by itself."""
    names = sys.argv[1:] or list(DEFAULT)
    sys.argv[1:] = []
    for name in names:
        print(f"## {name}", flush=True)
        try:
            runpy.run_module(f"bench.{name}", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main()

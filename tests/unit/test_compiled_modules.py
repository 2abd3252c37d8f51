"""What a wheel compiles fits together, which only shows when it is compiled (`make test-compiled`)."""

import importlib
import inspect
import pkgutil
import tomllib
from pathlib import Path

import pennypost

ROOT = Path(__file__).parents[2]


def compiled() -> set[str]:
    chosen = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pennypost"]["compile"]
    files = {file.relative_to(ROOT / "src") for pattern in chosen["modules"] for file in ROOT.glob(pattern)}
    files -= {Path(name).relative_to("src") for name in chosen["not"]}
    return {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files}


def test_every_pattern_names_modules() -> None:
    chosen = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pennypost"]["compile"]
    assert [pattern for pattern in chosen["modules"] if not list(ROOT.glob(pattern))] == []
    assert "pennypost.mail.transaction" in compiled()
    assert "pennypost.message.structure" not in compiled()


def test_no_interpreted_class_derives_from_a_compiled_one() -> None:
    # The methods of the compiled class refuse instances of a compiled class that derives from the interpreted one.
    names = compiled()
    odd = []
    for module in pkgutil.walk_packages(pennypost.__path__, "pennypost."):
        if module.name in names or module.name.endswith("__main__"):
            continue
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__ == module.name and any(base.__module__ in names for base in kind.__mro__[1:]):
                odd.append(f"{module.name}.{name}")
    assert odd == []

"""What a wheel compiles fits together, which only shows when it is compiled (`make test-compiled`)."""

import ast
import importlib
import inspect
import pkgutil
import tomllib
from pathlib import Path

import pennypost
from pennypost.message.search_text import Query

ROOT = Path(__file__).parents[2]


def compiled() -> set[str]:
    chosen = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pennypost"]["compile"]
    files = {file.relative_to(ROOT / "src") for pattern in chosen["modules"] for file in ROOT.glob(pattern)}
    files -= {Path(name).relative_to("src") for name in chosen["not"]}
    return {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files}


def files() -> list[Path]:
    names = [ROOT / "src" / Path(*name.split(".")) for name in sorted(compiled())]
    return [name / "__init__.py" if name.is_dir() else name.with_suffix(".py") for name in names]


def waits(*nodes: ast.AST) -> bool:
    kinds = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncWith, ast.AsyncFor)
    return any(isinstance(inner, kinds) for node in nodes for inner in ast.walk(node))


def raises_again(*nodes: ast.AST) -> bool:
    return any(isinstance(inner, ast.Raise) and inner.exc is None for node in nodes for inner in ast.walk(node))


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


def test_nothing_is_raised_again_after_a_wait() -> None:
    """What a compiled coroutine raises again is what the thread has in hand then: after a wait that is nothing, or
    another's, and the process falls."""
    odd = []
    for file in files():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            wrong = (
                isinstance(node, ast.AsyncWith)
                or (isinstance(node, ast.ExceptHandler) and waits(*node.body) and raises_again(*node.body))
                or (isinstance(node, ast.Try) and waits(*node.finalbody))
            )
            if wrong:
                odd.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert odd == []


def test_no_compiled_struct_is_the_key_of_anything() -> None:
    """Compiled, it is not frozen, whatever it says, and so has no hash."""
    assert hash(Query(("apple",), last_is_whole=True, exact=False)) == hash(Query(("apple",), True, False))

"""What settings that are numbers, sizes or times may be: called in the `__post_init__` of their classes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pennypost.model.units import render_duration, render_octets

NOTHING = timedelta(0)


def bounded(
    settings: object,
    *names: str,
    least: Any = None,
    most: Any = None,
    above: Any = None,
    show: Callable[[Any], str] | None = None,
) -> None:
    """Hold fields to what they may be: not below `least`, above `above`, not past `most`; None bounds nothing.

    A field that is None is not looked at. `show` writes a bound: sizes are integers, which do not say so. Raises
    ValueError with a line for each field that is out of bounds, "NAME: expected …": who reads the configuration adds
    the section and the value.
    """
    bad = [name for name in names if _is_out(getattr(settings, name), least, most, above)]
    if bad:
        expected = _expected(least, most, above, show or _shown)
        raise ValueError("\n".join(f"{name}: expected {expected}" for name in bad))


def sizes(settings: object, *names: str, least: int = 1, most: int | None = None) -> None:
    """Hold sizes to what they may be, as `bounded` does."""
    bounded(settings, *names, least=least, most=most, show=render_octets)


def positive_times(settings: object, *names: str) -> None:
    """Hold durations to more than nothing, as `bounded` does."""
    bounded(settings, *names, above=NOTHING)


def _is_out(value: Any, least: Any, most: Any, above: Any) -> bool:
    return value is not None and (
        (least is not None and value < least)
        or (most is not None and value > most)
        or (above is not None and not value > above)
    )


def _expected(least: Any, most: Any, above: Any, show: Callable[[Any], str]) -> str:
    if most is None:
        if above is not None:
            return f"more than {show(above)}"
        return f"at least {show(least)}" if least else f"{show(least)} or more"
    if above is not None:
        return f"more than {show(above)} and at most {show(most)}"
    return f"at most {show(most)}" if least is None else f"{show(least)} to {show(most)}"


def _shown(bound: Any) -> str:
    return render_duration(bound) if isinstance(bound, timedelta) else str(bound)

"""Tests that put something of their own in the place of a function that is compiled in with those that call it."""

import pytest

from pennypost.mail import transaction

interpreted = pytest.mark.skipif(
    not str(transaction.__file__).endswith(".py"), reason="compiled functions call each other directly"
)

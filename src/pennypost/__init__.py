"""Pennypost: a complete mail server in one Python program.

`proto` speaks, `mail` decides, `store` remembers, `servers` carry. `docs/flow.md` follows one message through them.
"""

__version__ = "0.1.0"

"""The states of an IMAP connection (RFC 9051 §3)."""

from enum import Enum


class State(Enum):
    """Where a connection is. Which commands may come in which, and where they lead: `commands.COMMANDS`."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


ANY_STATE = (State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED)
NOT_AUTHENTICATED = (State.NOT_AUTHENTICATED,)
AUTHENTICATED = (State.AUTHENTICATED, State.SELECTED)
SELECTED = (State.SELECTED,)

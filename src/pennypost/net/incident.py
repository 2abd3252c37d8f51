"""How an unexpected exception is logged: under an id that may be told to the peer, unlike the exception."""

import secrets

import structlog

_log = structlog.stdlib.get_logger("pennypost.incident")


def log_incident(where: str, problem: BaseException, **context: object) -> str:
    """Log `problem` with its traceback and give the incident's id. `where`: what was going on, as "smtp.session"."""
    incident = secrets.token_hex(4)
    _log.error("incident", incident=incident, where=where, exc_info=problem, **context)
    return incident

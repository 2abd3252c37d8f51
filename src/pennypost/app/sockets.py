"""Bind every listener, for every worker, before privileges are dropped.

Each worker has a TCP socket of its own on the same port (SO_REUSEPORT): the kernel spreads connections over them by
chance, and `net/spread` evens that out. A Unix socket is one file, so all workers accept from the same. The supervisor
keeps its copies open: connections that come while a worker is restarted wait in the backlog and are not refused.
"""

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from pennypost.app.config.settings import ListenerSettings
from pennypost.model.errors import ConfigError, ConfigProblem
from pennypost.net.endpoint import Endpoint, TcpEndpoint, UnixEndpoint
from pennypost.net.listener import bind_tcp, bind_unix

Sockets = dict[str, list[socket.socket]]
"""The sockets of one worker, by the name of the listener."""


def bind_all(listeners: ListenerSettings, workers: int) -> list[Sockets]:
    """Bind all that is to listen. Gives each worker's sockets. Raises ConfigError with every address that failed."""
    result: list[Sockets] = [{} for _ in range(workers)]
    problems: list[ConfigProblem] = []
    for field in fields(listeners):
        for endpoint in getattr(listeners, field.name):
            try:
                bound = _bind(endpoint, workers)
            except OSError as error:
                problems.append(ConfigProblem(f"listeners.{field.name}", f"{endpoint}: {error.strerror or error}"))
                continue
            for sockets, own in zip(result, bound, strict=True):
                sockets.setdefault(field.name, []).extend(own)
    if problems:
        close_all(result)
        raise ConfigError("", tuple(problems))
    return result


def _bind(endpoint: Endpoint, workers: int) -> list[list[socket.socket]]:
    """Bind one address once for each worker."""
    if isinstance(endpoint, UnixEndpoint):
        endpoint.path.parent.mkdir(parents=True, exist_ok=True)
        shared = bind_unix(endpoint.path)
        return [[shared if worker == 0 else shared.dup()] for worker in range(workers)]
    bound: list[list[socket.socket]] = []
    try:
        for _ in range(workers):
            bound.append(bind_tcp(endpoint.host, endpoint.port, reuse_port=workers > 1))
            if endpoint.port == 0:  # the others share what the first was given
                endpoint = TcpEndpoint(endpoint.host, bound[0][0].getsockname()[1])
    except BaseException:
        for sock in (sock for own in bound for sock in own):
            sock.close()
        raise
    return bound


def unix_paths(listeners: ListenerSettings) -> list[Path]:
    """Give the files that Unix sockets of listeners are."""
    endpoints = (endpoint for field in fields(listeners) for endpoint in getattr(listeners, field.name))
    return [endpoint.path for endpoint in endpoints if isinstance(endpoint, UnixEndpoint)]


def close_all(workers: Iterable[Sockets]) -> None:
    """Close sockets and remove the files of those that have one."""
    for sock in (sock for sockets in workers for own in sockets.values() for sock in own):
        if sock.fileno() >= 0 and sock.family == socket.AF_UNIX:
            with suppress(OSError):
                os.unlink(sock.getsockname())
        sock.close()

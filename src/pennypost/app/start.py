"""From a configuration to running workers: everything that happens once, in the order in which it has to."""

import gc
import os

import structlog

from pennypost.app.config.load import Loaded
from pennypost.app.figures import Figures, forget_figures
from pennypost.app.logging import LogOutput, set_up_logging
from pennypost.app.notify import ServiceManager
from pennypost.app.privileges import check_user, drop_privileges, raise_descriptor_limit
from pennypost.app.server import Server, certificates_of
from pennypost.app.sockets import Sockets, bind_all, close_all, unix_paths
from pennypost.app.state import FolderLock
from pennypost.app.supervisor import SoloPort, Supervisor, WorkerPort
from pennypost.app.worker import run_worker
from pennypost.model.errors import ConfigError
from pennypost.net.spread import Spread
from pennypost.net.tls import ServerTls
from pennypost.store.sqlite.migrate import known_migrations
from pennypost.store.store import prepare_folder

_log = structlog.stdlib.get_logger("pennypost.start")


def serve(loaded: Loaded) -> int:
    """Run the server until it is told to stop. Gives the exit status.

    Raises ConfigError, StoreUnusable, AlreadyRunning, OSError for what keeps it from starting at all.
    """
    config = loaded.config
    server = config.server
    problems = tuple(check_user(server))
    if problems:
        raise ConfigError(str(loaded.file or ""), problems)
    count = server.worker_count
    log = set_up_logging(config.log)
    raise_descriptor_limit()
    os.umask(0o077)
    # Ports first, as root; then root is given up for good, and files are made by the one who will use them.
    sockets = bind_all(config.listeners, count)
    known_migrations()  # files of the program: the one we become may not be able to read them
    try:
        server.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        server.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        drop_privileges(server, (server.data_dir, server.run_folder, *unix_paths(config.listeners)))
        if os.geteuid() == 0:
            _log.warning("running as root: set server.user")
        prepare_folder(server.data_dir)
        lock = FolderLock(server.data_dir)
        try:
            return _run(loaded, sockets, log)
        finally:
            lock.release()
    finally:
        close_all(sockets)


def _run(loaded: Loaded, sockets: list[Sockets], log: LogOutput) -> int:
    config = loaded.config
    service = ServiceManager()
    forget_figures(config.server.run_folder)
    certificates = certificates_of(config, config.server.data_dir / "tls")
    try:
        ServerTls(config.tls, certificates)  # so that what cannot be used is told in a line, not by each worker
    except ConfigError as error:
        raise ConfigError(str(loaded.file or ""), error.problems) from None

    names = tuple(dict.fromkeys(name for own in sockets for name in own))
    spread = Spread(names, len(sockets)) if len(sockets) > 1 else None

    def work(number: int, port: WorkerPort) -> int:
        own_log = log if len(sockets) == 1 else set_up_logging(config.log, worker=number)
        figures = Figures(config.server.run_folder, number)
        return run_worker(lambda: Server(config, certificates, figures, number, spread), sockets[number], port, own_log)

    _log.info(
        "starting", hostname=config.server.own_hostname, data_dir=str(config.server.data_dir), workers=len(sockets)
    )
    if len(sockets) == 1:
        return work(0, SoloPort(service))
    gc.collect()
    gc.freeze()  # so that the collector does not touch, and thereby copy, what the workers share
    try:
        assert spread is not None
        stop_seconds = config.server.stop_time.total_seconds()
        return Supervisor(len(sockets), work, service, stop_seconds, spread.gone).run()
    finally:
        if spread is not None:
            spread.close()

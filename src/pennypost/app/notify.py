"""Tell the service manager how we are: sd_notify, over its Unix datagram socket."""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta


class ServiceManager:
    """Who started us, if it wants to hear of us. Every call does nothing when it does not."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_interval = _watchdog_interval(environment)
        """How often `alive` has to be told; None: never."""

    def ready(self) -> None:
        """Every door is open."""
        self._send(f"READY=1\nMAINPID={os.getpid()}")

    def reloading(self) -> None:
        """Certificates are read anew; `ready` follows."""
        self._send("RELOADING=1")

    def stopping(self) -> None:
        """No more connections are taken."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Every worker has shown that its loop turns."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect(self._address)
                sock.send(message.encode())
            except OSError:
                return  # a manager that does not listen must not stop us


def _watchdog_interval(environment: Mapping[str, str]) -> timedelta | None:
    """Give half of the time after which the manager takes us for dead (sd_watchdog_enabled(3))."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return timedelta(microseconds=int(microseconds)) / 2

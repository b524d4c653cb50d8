"""Stands in for systemd where none can run: the sd_notify protocol on a datagram socket, the watchdog, and restarts on failure.

What it does is what systemd.service(5) and sd_notify(3) say of Type=notify, WatchdogSec=, Restart=on-failure and NotifyAccess=main.
"""
import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import servers


class Manager:
    """Runs one service. `said` holds what it was told: (monotonic time, process id, {name: value})."""

    def __init__(self, command, folder, watchdog=None, log=None):
        self.command, self.folder, self.watchdog = [str(c) for c in command], folder, watchdog
        self.log = open(log or folder / "log", "ab")
        self.path = str(folder / "notify")
        self.said, self.kills, self.starts, self.exits = [], [], [], []
        self.stopping = False
        self.child = None

    @contextlib.contextmanager
    def running(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            listener.bind(self.path)
            listener.settimeout(0.05)
            self._start()
            thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.stopping = True
                if self.child.poll() is None:
                    self.child.kill()
                    self.child.wait()
                thread.join()
                self.log.close()
                os.unlink(self.path)

    def _start(self):
        environment = {**os.environ, "NOTIFY_SOCKET": self.path}
        if self.watchdog:
            environment["WATCHDOG_USEC"] = str(int(self.watchdog * 1e6))
        self.child = subprocess.Popen(self.command, cwd=self.folder, env=environment, stdout=self.log, stderr=self.log)
        self.starts.append(time.monotonic())
        self.alive_at = time.monotonic()
        self.ready = False

    def _serve(self, listener):
        while True:
            with contextlib.suppress(TimeoutError):
                text, ancillary, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")))
                pid = next(struct.unpack("3i", data)[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)
                if pid == self.child.pid:  # NotifyAccess=main
                    fields = dict(line.split("=", 1) for line in text.decode().splitlines())
                    self.said.append((time.monotonic(), pid, fields))
                    self.ready |= "READY" in fields
                    if "WATCHDOG" in fields or "READY" in fields:
                        self.alive_at = time.monotonic()
            if self.child.poll() is not None:
                if self.stopping:
                    return
                self.exits.append(self.child.returncode)
                if self.child.returncode == 0:
                    return
                self._start()
            elif self.watchdog and self.ready and not self.stopping and time.monotonic() - self.alive_at > self.watchdog:
                self.kills.append(time.monotonic())
                self.child.send_signal(signal.SIGABRT)
                self.child.wait()

    def heard(self, name):
        return [(at, fields[name]) for at, _, fields in list(self.said) if name in fields]

    def wait_for(self, name, count=1):
        servers.wait_until(lambda: len(self.heard(name)) >= count or self.child.poll() is not None, f"{name} for the {count}. time")
        assert len(self.heard(name)) >= count, f"it ended with {self.child.returncode}"
        return self.heard(name)[count - 1][1]

    def reload(self):
        self.child.send_signal(signal.SIGHUP)

    def stop(self, limit):
        """SIGTERM, and how long it took; a service that is not gone by then would be killed."""
        self.stopping = True
        began = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(limit)
        return code, time.monotonic() - began

# SPDX-License-Identifier: Apache-2.0
"""An adb server with phones behind it that exist in memory only, on the real wire protocol.

Speaks what an adb of today answers: host services, transports, `shell:`, `shell,v2:` and `sync:`
(https://android.googlesource.com/platform/packages/modules/adb/+/refs/heads/main/docs/dev/). The
phone's programs answer as they do on a phone, in the few forms that are asked here.
"""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from phone_outputs import BATTERY, CPU_INFO, DF, GETPROP, THERMAL, printed

FOLDER = "/data/local/tmp/distilbert-mobile-benchmark"
PACKAGE = "distilbert.mobile.app"
KILL = (
    rf"p=\$\(cat {FOLDER}/process\) && grep -q \^./benchmark_model /proc/\$p/cmdline && kill -9 \$p"
)
VERSION = 41  # of adb; the transport that newer ones have


class GoneError(Exception):
    """The cable was pulled."""


@dataclass
class FakePhone:
    """A phone's memory, and how it behaves.

    `benchmark` gets the arguments of benchmark_model by name and returns exit code and output; it
    may wait for `killed`, or raise GoneError. `app` gets the extras of `am start` and yields log
    lines; it may put its document into `files`.
    """

    serial: str = "R58M12ABCDE"
    state: str = "device"
    features: str = "shell_v2,cmd"
    free_kb: int = 60_000_000
    full_after: int | None = None  # bytes that a quota lets through, whatever df says
    celsius: list[float] = field(default_factory=lambda: [31.0])
    charging: bool = False
    level: int = 80
    thermal: int = 0
    abis: str = "arm64-v8a,armeabi-v7a"
    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    install_answer: str = "Success"
    start_answer: str = "Starting: Intent { cmp=distilbert.mobile.app }\nStatus: ok\nComplete\n"
    unreadable: set[str] = field(default_factory=set)
    benchmark: Callable[[FakePhone, dict[str, str]], tuple[int, str]] | None = None
    app: Callable[[FakePhone, dict[str, str]], Iterator[str]] | None = None
    commands: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    killed: threading.Event = field(default_factory=threading.Event)

    @property
    def is_clean(self) -> bool:
        """Whether nothing of ours is left."""
        return not any(path.startswith(FOLDER) for path in self.files)

    def run(self, command: str) -> tuple[int, str]:
        """What a line of shell prints, and its exit code."""
        self.commands.append(command)
        if found := re.fullmatch(r"sh -c '(.*)'", command, re.DOTALL):
            return self._program(found[1].replace("'\"'\"'", "'"))
        if command.startswith("am start"):
            return self._start_app(command)
        for pattern, answer in self._answers().items():
            if found := re.fullmatch(pattern, command):
                given = answer(found) if callable(answer) else answer
                return given if isinstance(given, tuple) else (0, given)
        self.unknown.append(command)
        return 127, f"/system/bin/sh: {command.split()[0]}: inaccessible or not found\n"

    def _answers(self) -> dict[str, Any]:
        celsius = self.celsius[0] if len(self.celsius) == 1 else None
        return {
            "dumpsys battery": lambda _: BATTERY.format(
                tenths=round(10 * (self.celsius.pop(0) if celsius is None else celsius)),
                status=2 if self.charging else 3,
                level=self.level,
            ),
            "dumpsys thermalservice": THERMAL.format(status=self.thermal),
            r"grep -H \. /sys\S*scaling_cur_freq; true": "".join(
                f"/sys/devices/system/cpu/cpu{i}/cpufreq/scaling_cur_freq:{khz}\n"
                for i, khz in ((0, 300000), (1, 300000), (10, 2802000), (4, 1197000))
            ),
            "getprop": GETPROP.format(abis=self.abis),
            "cat /proc/cpuinfo": CPU_INFO,
            "cat /proc/meminfo": "MemTotal:        7792340 kB\nMemFree:  211000 kB\n",
            "cat /proc/loadavg": (1, "cat: /proc/loadavg: Permission denied\n"),
            r"cat /sys\S*scaling_governor": "sched_pixel\n",
            "uname -m": "aarch64\n",
            "uname -sr": "Linux 5.10.177-android13\n",
            "date .*": "11-22 20:00:00.000\n",
            r"am force-stop (\S+); input keyevent KEYCODE_WAKEUP": self._stopped,
            rf"{KILL}; rm -rf {FOLDER}": self._removed,
            KILL: self._kill,
            f"mkdir -p {FOLDER}": "",
            rf"df -k {FOLDER}": DF.format(free=self.free_kb),
            r"pm path (\S+)": lambda m: (
                (0, f"package:/data/app/~~x==/{m[1]}/base.apk\n")
                if m[1] in self.packages
                else (1, "")
            ),
            r"pm install -r -t (\S+)": self._install,
            r"pm uninstall (\S+)": lambda m: (self.packages.discard(m[1]), (0, "Success\n"))[1],
            r"pidof (\S+)": lambda m: (0, "4242\n") if m[1] in self.running else (1, ""),
            r"am force-stop (\S+); rm -f (\S+)": self._stopped,
        }

    def _program(self, line: str) -> tuple[int, str]:
        arguments = line.partition("exec ")[2].split()
        assert line.startswith(f"cd {FOLDER} && echo $$ > {FOLDER}/process"), line
        if f"{FOLDER}/benchmark_model" not in self.files:
            return 127, "sh: ./benchmark_model: inaccessible or not found\n"
        assert self.modes[f"{FOLDER}/benchmark_model"] & 0o111
        given = dict(part.removeprefix("--").partition("=")[::2] for part in arguments[1:])
        assert given["graph"] in self.files, given
        self.calls.append(given)
        self.killed.clear()
        return self.benchmark(self, given) if self.benchmark else (0, printed(given))

    def _start_app(self, command: str) -> tuple[int, str]:
        if not self.start_answer.startswith("Starting") or "Error" in self.start_answer:
            return 1, self.start_answer
        parts = re.findall(r"--(e[si]) (\S+) (\S+)", command)
        extras = {name: value for _, name, value in parts}
        assert self.app is not None
        self.running.add(PACKAGE)
        lines = self.app(self, extras)
        threading.Thread(target=self._log_app, args=(lines,), daemon=True).start()
        return 0, self.start_answer

    def _log_app(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.log.append(line)
        if not self.log[-1].startswith(("DONE", "GONE")):
            self.running.discard(PACKAGE)

    def _removed(self, _: Any) -> str:
        self._kill(_)
        for path in [path for path in self.files if path.startswith(f"{FOLDER}/")]:
            del self.files[path]
        return ""

    def _kill(self, _: Any) -> tuple[int, str]:
        self.killed.set()
        return 1, f"cat: {FOLDER}/process: No such file or directory\n"

    def _stopped(self, found: re.Match[str]) -> str:
        self.running.discard(found[1])
        self.files.pop(found[found.lastindex or 1], None)
        return ""

    def _install(self, found: re.Match[str]) -> tuple[int, str]:
        assert found[1] in self.files
        if self.install_answer == "Success":
            self.packages.add(PACKAGE)
        return int(self.install_answer != "Success"), f"{self.install_answer}\n"


class _Handler(socketserver.BaseRequestHandler):
    """One connection: services one after the other, until one takes the connection over."""

    server: AdbServer
    phone: FakePhone

    def handle(self) -> None:
        self.server.sockets.append(self.request)
        try:
            while self._service(self._read(int(self._read(4), 16)).decode()):
                pass
        except GoneError:
            self.server.pull(self.phone)
        except (OSError, ValueError, struct.error):
            pass  # the client went

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.request.recv(count - len(data))
            if not chunk:
                raise OSError("closed")
            data += chunk
        return data

    def _block(self, text: str) -> None:
        data = text.encode()
        self.request.sendall(b"OKAY" + f"{len(data):04x}".encode() + data)

    def _fail(self, why: str) -> bool:
        self.request.sendall(b"FAIL" + f"{len(why):04x}".encode() + why.encode())
        return False

    def _service(self, name: str) -> bool:
        if name == "host:version":
            self._block(f"{VERSION:04x}")
        elif name in ("host:devices", "host:devices-l"):
            self._block("".join(f"{one.serial}\t{one.state}\n" for one in self.server.phones))
        elif name in ("host:tport:any", "host:features"):  # of the one phone, as adb's client asks
            (one,) = self.server.phones
            whole = {"host:tport:any": f"host:tport:serial:{one.serial}"}
            return self._service(whole.get(name, f"host-serial:{one.serial}:features"))
        elif found := re.fullmatch(r"host:(?:tport:serial|transport):(.+)", name):
            if not self._choose(found[1]):
                return False
            number = struct.pack("<Q", 7) if "tport" in name else b""
            self.request.sendall(b"OKAY" + number)
            return True
        elif found := re.fullmatch(r"host-serial:(.+):features", name):
            if self._choose(found[1]):
                self._block(self.phone.features)
        elif found := re.fullmatch(r"shell(,v2)?(?:,[^:]*)?:(.*)", name, re.DOTALL):
            self._shell(found[2], v2=found[1] is not None)
        elif name == "sync:":
            self.request.sendall(b"OKAY")
            while self._sync():
                pass
        else:
            self._fail(f"unknown host service '{name}'")
        return False

    def _choose(self, serial: str) -> bool:
        for phone in self.server.phones:
            if phone.serial == serial:
                if phone.state != "device":
                    return self._fail(f"device {phone.state}.")
                self.phone = phone
                return True
        return self._fail(f"device '{serial}' not found")

    def _shell(self, command: str, v2: bool) -> None:
        self.request.sendall(b"OKAY")
        if command.startswith("logcat"):
            return self._logcat()
        status = ""
        if not v2 and (found := re.fullmatch(r"(.*); echo (X\w+:)\$\?", command, re.DOTALL)):
            command, status = found[1], found[2]  # how exit codes are had without shell,v2
        code, output = self.phone.run(command)
        if not v2:
            self.request.sendall(
                output.encode() + (f"{status}{code}\n".encode() if status else b"")
            )
            return
        half = len(output) // 2  # as it comes: in pieces
        for part in (output[:half].encode(), output[half:].encode()):
            self.request.sendall(b"\x01" + struct.pack("<I", len(part)) + part)
        self.request.sendall(b"\x03" + struct.pack("<I", 1) + bytes([code]))

    def _logcat(self) -> None:
        self.request.sendall(b"--------- beginning of main\n")
        sent = 0
        while self.phone in self.server.phones:
            lines = self.phone.log[sent:]
            sent += len(lines)
            if "GONE" in lines:
                raise GoneError
            self.request.sendall("".join(f"{line}\n" for line in lines).encode())
            self.request.settimeout(0.01)
            try:
                if not self.request.recv(1):
                    return
            except TimeoutError:
                pass
            self.request.settimeout(None)

    def _sync(self) -> bool:
        kind, size = struct.unpack("<4sI", self._read(8))
        path = self._read(size).decode()
        if kind == b"QUIT":
            return False
        if kind == b"STAT":
            found = self.phone.files.get(path)
            sizes = (0, 0, 0) if found is None else (0o100644, len(found), 1_700_000_000)
            self.request.sendall(b"STAT" + struct.pack("<III", *sizes))
        elif kind == b"SEND":
            self._receive(path)
        elif kind == b"RECV":
            if path not in self.phone.files or path in self.phone.unreadable:
                why = b"open failed: Permission denied"
                self.request.sendall(b"FAIL" + struct.pack("<I", len(why)) + why)
                return False
            data = self.phone.files[path]
            for start in range(0, len(data), 65536):
                part = data[start : start + 65536]
                self.request.sendall(b"DATA" + struct.pack("<I", len(part)) + part)
            self.request.sendall(b"DONE" + struct.pack("<I", 0))
        return True

    def _receive(self, path: str) -> None:
        path, _, mode = path.rpartition(",")
        data, failed, most = b"", False, self.phone.full_after
        while True:
            kind, size = struct.unpack("<4sI", self._read(8))
            if kind == b"DONE":
                break
            data += self._read(size)
            if most is not None and len(data) > most and not failed:
                failed, why = True, b"write failed: No space left on device"
                self.request.sendall(b"FAIL" + struct.pack("<I", len(why)) + why)
        if not failed:
            self.phone.files[path], self.phone.modes[path] = data, int(mode)
            self.request.sendall(b"OKAY" + struct.pack("<I", 0))


class AdbServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of the loopback."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, phones: list[FakePhone]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.phones, self.sockets = phones, list[socket.socket]()

    def pull(self, phone: FakePhone) -> None:
        """The phone is gone: no more in the list, its connections cut."""
        if phone in self.phones:
            self.phones.remove(phone)
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@contextmanager
def serving(*phones: FakePhone) -> Iterator[AdbServer]:
    """A running server with these phones."""
    server = AdbServer(list(phones))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()

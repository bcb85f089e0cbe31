# SPDX-License-Identifier: Apache-2.0
"""A phone behind adb: found, given commands and files, left as it was.

Speaks to the adb server through the adbutils package (the `android` extra). Whatever goes wrong is
one of three errors, each a line for the user.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import struct
import subprocess
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters import ExpectedError, one_line
from converters.extras import install_hint

# Everything that is pushed; a run that was cut off leaves at most this, and the next removes it.
FOLDER = "/data/local/tmp/distilbert-mobile-benchmark"
PROGRAM = "benchmark_model"
PROCESS = f"{FOLDER}/process"  # holds the number of the process that runs

# Another process may have got the number of one that ended.
KILL = f"p=$(cat {PROCESS}) && grep -q ^./{PROGRAM} /proc/$p/cmdline && kill -9 $p"

# A phone answers such commands at once; a busy one in a few seconds.
ANSWER_SECONDS = 60.0

ADVICE = {
    "unauthorized": "has not allowed this computer: unlock it and tap Allow under `Allow USB "
    "debugging?`; if it does not ask, unplug it and plug it in again",
    "authorizing": "is still deciding about this computer: unlock it, tap Allow, run this again",
    "offline": "is offline: unplug it and plug it in again, or run adb reconnect",
    "no": "may not be opened by this user (no permissions): see adb devices, and Android's page on "
    "udev rules",
}


class PhoneError(ExpectedError):
    """There is no phone to use, or it refuses."""


class GoneError(PhoneError):
    """The phone, or adb itself, went away."""


class SilentError(PhoneError):
    """A command printed nothing for too long."""


@dataclass(frozen=True)
class Ran:
    """A command's exit code, above 128 for a signal, and what it printed, errors in between."""

    code: int
    output: str


def find(serial: str | None) -> Phone:
    """The one phone that is connected, or the one with `serial` (or $ANDROID_SERIAL).

    Raises:
        PhoneError: adb does not answer, there is no such phone, several, or it cannot be used.
    """
    try:
        import adbutils
    except ImportError as error:
        raise PhoneError(f"the package adbutils is missing: {install_hint('android')}") from error
    client = adbutils.AdbClient()
    try:
        found = client.list()
    except (adbutils.AdbError, OSError, subprocess.SubprocessError) as error:
        raise PhoneError(
            f"adb does not answer at {client.host}:{client.port} ({one_line(error)}): install "
            "Android's platform-tools and run adb start-server"
        ) from error
    wanted = serial or os.environ.get("ANDROID_SERIAL")
    usable = [each for each in found if each.serial == wanted or not wanted]
    ready = [each for each in usable if each.state == "device"]
    if len(ready) == 1:
        return Phone(client, ready[0].serial)
    every = ", ".join(f"{each.serial} ({each.state})" for each in found)
    if not found:
        raise PhoneError(
            "no phone is connected: plug one in, with USB debugging switched on in its developer "
            "options; adb devices must list it"
        )
    if not usable:
        raise PhoneError(f"no phone {wanted} is connected: there is {every}")
    if len(usable) > 1:
        raise PhoneError(f"{len(found)} phones are connected: name one with --serial: {every}")
    state = usable[0].state
    advice = ADVICE.get(state, f"is in the state {state}: start Android on it")
    raise PhoneError(f"the phone {usable[0].serial} {advice}")


class Phone:
    """One phone, by its serial. Every method raises a `GoneError` if it went away."""

    def __init__(self, client: Any, serial: str) -> None:
        self.serial = serial
        self._client, self._device = client, client.device(serial)

    def shell(self, command: str, timeout: float = ANSWER_SECONDS) -> Ran:
        """Run a line of shell.

        Args:
            command: for the phone's sh.
            timeout: seconds without a word after which it is given up; it goes on running.

        Raises:
            SilentError: it was given up.
            PhoneError: adb refuses.
        """
        with self._told(f"the phone did not run {command[:60]!r}"):
            ran = self._device.shell2(command, timeout=timeout, v2=True)
        return Ran(ran.returncode, ran.output.replace("\r\n", "\n"))

    def text(self, command: str) -> str:
        """What a command prints; empty where it fails."""
        ran = self.shell(command)
        return ran.output.strip() if ran.code == 0 else ""

    def run(self, arguments: Sequence[str], timeout: float) -> Ran:
        """Run `PROGRAM` in `FOLDER`, and kill it when it is silent for `timeout` seconds."""
        words = shlex.join([f"./{PROGRAM}", *arguments])
        line = f"cd {FOLDER} && echo $$ > {PROCESS} && exec {words}"
        try:
            return self.shell(f"sh -c {shlex.quote(line)}", timeout)
        except SilentError:
            self.shell(KILL)
            raise

    def make_folder(self) -> None:
        """Make `FOLDER`, empty; a run that was cut off may have left one.

        Raises:
            PhoneError: the phone does not let it be made.
        """
        self.clean()
        ran = self.shell(f"mkdir -p {FOLDER}")
        if ran.code:
            raise PhoneError(f"the phone does not make {FOLDER}: {one_line(ran.output)}")

    def clean(self) -> None:
        """Kill what still runs and remove all that was pushed."""
        self.shell(f"{KILL}; rm -rf {FOLDER}")

    def push(self, local: Path, name: str, *, program: bool = False) -> str:
        """Copy a file into `FOLDER` and return its path there.

        Raises:
            PhoneError: there is no room, or the phone refuses it.
        """
        remote, size = f"{FOLDER}/{name}", local.stat().st_size
        self._check_room(local.name, size)
        try:
            with self._told(local.name):
                mode = 0o755 if program else 0o644
                self._device.sync.push(local, remote, mode=mode, check=True)
        except GoneError:
            raise
        except PhoneError as error:
            self._check_room(local.name, size)  # adbutils keeps the phone's reason for itself
            why = f"it may be full, or not let adb write to {FOLDER}"
            raise PhoneError(f"the phone did not take {local.name}: {why}") from error
        return remote

    def read(self, remote: str) -> bytes:
        """The content of a file; a PhoneError where it may not be read."""
        with self._told(f"the phone does not give {remote}"):
            content: bytes = self._device.sync.read_bytes(remote)
        return content

    def log(self, tag: str, since: str, silence: float) -> Generator[str | None, None, None]:
        """Follow the log: messages with `tag` of level I and above; never ends by itself.

        Args:
            tag: of the app.
            since: a time as the phone's `date '+%m-%d %H:%M:%S.000'` tells it.
            silence: seconds without a message after which None is yielded.
        """
        command = f"logcat -v raw -T {shlex.quote(since)} -s {tag}:I"
        with self._told("the phone does not show its log"):
            connection = self._device.shell(command, stream=True)
            connection.conn.settimeout(silence)
        rest = b""
        try:
            while True:
                try:
                    with self._told("the phone's log"):
                        new = connection.recv(1 << 16)
                except SilentError:
                    yield None
                    continue
                if not new:
                    raise self._gone() or PhoneError("the phone's log ended")
                *lines, rest = (rest + new).split(b"\n")
                yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
        finally:
            connection.close()

    def installed(self, package: str) -> bool:
        """Whether an app is there."""
        return self.text(f"pm path {package}").startswith("package:")

    def install(self, apk: Path) -> None:
        """Install an app, or put it in the place of the one that is there.

        Raises:
            PhoneError: the phone refuses it.
        """
        ran = self.shell(f"pm install -r -t {self.push(apk, 'app.apk')}", timeout=300)
        if ran.code or "Success" not in ran.output:
            advice = (
                "; another build of it is there: uninstall that one first"
                if "UPDATE_INCOMPATIBLE" in ran.output
                else ""
            )
            raise PhoneError(
                f"the phone does not install {apk.name}: {one_line(ran.output)}{advice}"
            )

    def _check_room(self, name: str, size: int) -> None:
        found = re.search(r"([0-9]+)\s+[0-9]+%", self.text(f"df -k {FOLDER}"))
        free = int(found[1]) * 1024 if found else size
        if free < size:
            raise PhoneError(
                f"the phone is full: {name} takes {size / 1e6:.1f} MB, {free / 1e6:.1f} MB are "
                "free for it: free some, or measure fewer files at once"
            )

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn what the library raises into the errors of this module."""
        from adbutils import AdbError, AdbTimeout

        try:
            yield
        except AdbTimeout as error:
            raise SilentError(f"{what} in time") from error
        except (AdbError, OSError, EOFError, ValueError, AssertionError, struct.error) as error:
            raise (self._gone() or PhoneError(f"{what}: {one_line(error)}")) from error

    def _gone(self) -> GoneError | None:
        """The error to raise if the phone went away."""
        try:
            states = {each.serial: each.state for each in self._client.list()}
        except Exception as error:  # whatever it is: without adb there is no phone
            return GoneError(f"adb does not answer any more ({one_line(error)})")
        if states.get(self.serial) == "device":
            return None
        state = states.get(self.serial, "gone")  # without its serial: this is told in the report
        return GoneError(f"the phone is {state}: was it unplugged, or switched off?")

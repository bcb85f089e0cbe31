# SPDX-License-Identifier: Apache-2.0
"""The tests' adb server against Android's own client, and what is run on phones against a shell.

The client comes with the adbutils package.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from adb_server import FOLDER, VERSION, FakePhone, serving, until

from benchmarks.device.adb import SilentError, find

adbutils = pytest.importorskip("adbutils", reason="needs the android extra")


def adb(port: int, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the real client."""
    command = [adbutils.adb_path(), "-P", str(port), *arguments]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def same_version() -> None:
    """A client of another protocol version would end the server, and start its own."""
    try:
        said = subprocess.run([adbutils.adb_path(), "version"], capture_output=True, text=True)
    except (adbutils.AdbError, OSError) as error:
        pytest.skip(f"no adb here: {error}")
    if f"version 1.0.{VERSION}" not in said.stdout:
        pytest.skip(f"adb is not 1.0.{VERSION}: {said.stdout.splitlines()[:1]}")


@pytest.mark.usefixtures("same_version")
def test_adb_finds_a_phone_and_runs_its_shell() -> None:
    phone = FakePhone()
    with serving(phone, FakePhone(serial="other", state="unauthorized")) as server:
        port = server.server_address[1]
        code, said = adb(port, "devices")
        assert code == 0
        assert "R58M12ABCDE\tdevice" in said and "other\tunauthorized" in said
        assert adb(port, "-s", phone.serial, "shell", "uname", "-m") == (0, "aarch64\n")
        assert adb(port, "-s", phone.serial, "shell", "nonesuch")[0] == 127
        code, said = adb(port, "-s", "third", "shell", "ls")
        assert code == 1 and "device 'third' not found" in said
        assert adb(port, "-s", "other", "shell", "ls")[0] == 1


@pytest.mark.usefixtures("same_version")
def test_adb_copies_files_there_and_back(tmp_path: Path) -> None:
    phone = FakePhone()
    content = bytes(range(256)) * 1000
    (tmp_path / "a").write_bytes(content)
    with serving(phone) as server:
        port = server.server_address[1]
        assert adb(port, "push", str(tmp_path / "a"), f"{FOLDER}/a")[0] == 0
        assert phone.files == {f"{FOLDER}/a": content}
        assert adb(port, "pull", f"{FOLDER}/a", str(tmp_path / "b"))[0] == 0
        assert (tmp_path / "b").read_bytes() == content
        code, said = adb(port, "pull", f"{FOLDER}/none", str(tmp_path / "c"))
        assert code == 1 and "does not exist" in said
        phone.full_after = 1000
        code, said = adb(port, "push", str(tmp_path / "a"), f"{FOLDER}/full")
        assert code == 1 and "No space left on device" in said
    assert list(phone.files) == [f"{FOLDER}/a"]


@pytest.mark.skipif(sys.platform != "linux", reason="sees processes as Android does")
def test_lines_for_the_phone_are_what_a_shell_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"

    class Shell(FakePhone):
        """Runs what it is asked in the shell of this machine, in a folder of the test's."""

        def run(self, command: str) -> tuple[int, str]:
            ran = subprocess.run(
                ["sh", "-c", command.replace(FOLDER, str(folder))], capture_output=True, text=True
            )
            return ran.returncode % 256, ran.stdout + ran.stderr

    def running() -> bool:
        return Path(f"/proc/{(folder / 'process').read_text().strip()}").exists()

    with serving(Shell()) as server:
        monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.server_address[1]))
        monkeypatch.delenv("ANDROID_SERIAL", raising=False)
        phone = find(None)
        phone.make_folder()
        shutil.copy(shutil.which("sleep") or "", folder / "benchmark_model")
        assert phone.run(["0"], 10).code == 0
        assert phone.run(["a b; exit 3"], 10).code == 1  # one argument, and sleep refuses it
        with pytest.raises(SilentError):
            phone.run(["60"], 0.5)
        assert until(lambda: not running())
        other = subprocess.Popen(["sleep", "60"])  # has the number of one that ended
        (folder / "process").write_text(f"{other.pid}\n")
        phone.clean()
        assert other.poll() is None
        other.kill()
        other.wait()
    assert not folder.exists()

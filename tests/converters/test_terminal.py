# SPDX-License-Identifier: Apache-2.0
"""Terminals that cannot show it, readers that go away, closed streams: never a traceback."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from repository import ROOT

from converters import ConversionError, terminal
from converters.terminal import word
from pipeline.errors import GateFailure, UserError

SPOKEN = "é ✓ 🗼"
# A command as ours are: prints more than a pipe holds, then its result.
PROGRAM = f"""
import sys
import time
sys.path.insert(0, {str(ROOT)!r})
from converters import terminal
from pathlib import Path
@terminal.command
def main(arguments=None):
    for _ in range(int(arguments[0])):
        print({SPOKEN!a})
    print(terminal.json_line({{"text": {SPOKEN!a}}}))
    print({SPOKEN!a}, file=sys.stderr)
    Path(arguments[1]).write_text("done")
    return 0
sys.exit(main())
"""
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(
    command: str, *arguments: str | bytes, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A shell's command line in which $PROGRAM stands for the command above."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", *arguments],
        env=os.environ | environment | {"PROGRAM": PROGRAM, "PYTHON": sys.executable},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "environment", [PLAIN, {"PYTHONIOENCODING": "iso-8859-1"}, {"PYTHONIOENCODING": "utf-8"}]
)
def test_any_encoding_is_enough(environment: dict[str, str], tmp_path: Path) -> None:
    done = run('"$PYTHON" -c "$PROGRAM" 1 "$1"', str(tmp_path / "done"), **environment)
    assert (done.returncode, (tmp_path / "done").read_text()) == (0, "done")
    shown, line = done.stdout.splitlines()
    assert json.loads(line.decode("utf-8" if "8" in str(environment) else "ascii"))["text"] == (
        SPOKEN
    )
    assert b"Traceback" not in done.stderr and shown != b""


@pytest.mark.parametrize("reader", ["| head -c 5", "| true", ">&-", ">&- 2>&-", "2>&1 | true"])
def test_a_reader_that_goes_away_does_not_stop_the_work(reader: str, tmp_path: Path) -> None:
    done = run(f'"$PYTHON" -c "$PROGRAM" 20000 "$1" {reader}', str(tmp_path / "done"))
    assert (done.returncode, (tmp_path / "done").read_text()) == (0, "done")
    assert b"Error" not in done.stderr and b"Exception" not in done.stderr


def test_a_closed_stream_gives_its_number_to_no_file(tmp_path: Path) -> None:
    opens = PROGRAM.replace("    return 0", "    return open(arguments[1]).fileno() <= 2")
    for closed in (">&-", ">&- 2>&-", "<&- >&- 2>&-"):
        done = run(f'"$PYTHON" -c "$2" 1 "$1" {closed}', str(tmp_path / "done"), opens)
        assert done.returncode == 0, closed


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("no file a.json: name one"), 2, "error: no file a.json: name one"),
        (ConversionError("bad\x1b[2J\nname\u202e"), 2, r"error: bad\x1b[2J\nname\u202e"),
        (GateFailure("F1 is é"), 1, "gate failed: F1 is é"),
        (TimeoutError("too long"), 1, "error: too long"),
    ],
)
def test_an_expected_error_is_one_line_and_its_code(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @terminal.command(also={TimeoutError: 1})
    def main(arguments: list[str]) -> int:
        raise error

    assert main([]) == code
    assert capsys.readouterr() == ("", f"{said}\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "not enough memory"), (RecursionError("deep"), "for what is nested: deep")],
    ids=["memory", "depth"],
)
def test_what_is_too_large_or_too_deep_is_one_line(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @terminal.command
    def main(arguments: list[str]) -> int:
        raise error

    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.endswith(f"{said}\n")


def test_what_argparse_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    kept = argparse.ArgumentParser.error

    @terminal.command
    def main(arguments: list[str]) -> int:
        argparse.ArgumentParser("a command").parse_args(arguments)
        return 0

    with pytest.raises(SystemExit) as caught:
        main(["--no\x1b[31m"])
    assert caught.value.code == 2 and argparse.ArgumentParser.error is kept
    printed = capsys.readouterr().err
    assert printed == "error: unrecognized arguments: --no\\x1b[31m; see a command --help\n"


def test_a_closed_standard_input_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    @terminal.command
    def main(arguments: list[str]) -> int:
        return len(sys.stdin.buffer.read())

    monkeypatch.setattr(sys, "stdin", None)
    assert main([]) == 0 and sys.stdin is None


def test_json_holds_no_control_characters() -> None:
    document = {"text": "\x9b31m \u202e \x7f \U0001f468\u200d"}
    line = terminal.json_line(document)
    assert json.loads(line) == document
    assert not {"\x9b", "\u202e", "\x7f"} & {*line}


def test_any_other_error_is_a_fault_of_the_program() -> None:
    @terminal.command
    def main(arguments: list[str]) -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        main([])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    done = run('"$PYTHON" -c "$PROGRAM" 1 "$1" > /dev/full', str(tmp_path / "done"))
    assert done.returncode == 2
    assert re.search(rb"^error: cannot write .*No space left", done.stderr, re.MULTILINE)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "module", ["pipeline.build", "pipeline.ask", "benchmarks.run", "benchmarks.compare"]
)
def test_an_argument_that_is_no_text_is_told_in_one_line(module: str) -> None:
    done = run(f'cd {ROOT}; "$PYTHON" -m {module} --out "$1"', b"caf\xe9")
    said = done.stderr.decode()
    assert (done.returncode, len(said.splitlines())) == (2, 1), said
    assert said.startswith("error: the argument 'caf\\udce9' is no text")


@pytest.mark.parametrize(
    "arguments", ["pipeline.build '[/]'", "pipeline.ask a b --context c --threads '[/]'"]
)
def test_square_brackets_are_no_markup(arguments: str) -> None:
    done = run(f'cd {ROOT}; "$PYTHON" -m {arguments}')
    said = done.stderr.decode()
    assert (done.returncode, len(said.splitlines())) == (2, 1), said
    assert said.startswith("error: ") and "[/]" in said


@pytest.mark.parametrize("name", ["a b", "$(touch pwn)", "`id`", "it's", "-dash", "--out", "[red]"])
def test_a_printed_path_can_be_copied_into_a_shell(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("found")
    said = subprocess.check_output(["bash", "-c", f"cat {word(name)}"], cwd=tmp_path)
    assert said == b"found" and len(list(tmp_path.iterdir())) == 1
    assert shlex.split(word(name)) == [name if name[0] != "-" else f"./{name}"]


SLEEPER = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from converters import terminal
@terminal.command
def main(arguments=None):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("tidy", flush=True)
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_command_as_ctrl_c_does(number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run under `nohup` ignores SIGHUP, and its children inherit that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # a signal during a write would let it be written again
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "tidy\n", "stopped\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_ends_though_a_library_catches_what_the_signal_raised(
    number: signal.Signals, code: int
) -> None:
    swallows = SLEEPER.replace("@terminal.command", "terminal.AGAIN = 0.5\n@terminal.command")
    swallows = swallows.replace(
        "        time.sleep(60)\n",
        "        try:\n"
        "            time.sleep(60)\n"
        "        except BaseException:\n"
        '            print("swallowed", flush=True)\n'
        "        time.sleep(60)\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", swallows],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # a signal during a write would let it be written again
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "swallowed\ntidy\n", "stopped\n")


def test_a_signal_that_is_ignored_stays_so() -> None:
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert terminal.command(lambda _: signal.getsignal(signal.SIGHUP))([]) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, kept)
    before = signal.getsignal(signal.SIGTERM)
    terminal.command(lambda _: 0)([])
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_the_system_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "a.onnx")

    with pytest.raises(SystemExit) as caught:
        terminal.command(main)([])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: Too many open files: a.onnx\n"


def test_texts_from_outside_do_not_rule_the_terminal() -> None:
    assert terminal.shown("a\x1b[31mb\x9b\u202e\ud800") == r"a\x1b[31mb\x9b\u202e\ud800"
    kept = "zwj \U0001f468\u200d\U0001f469, \u200c, tab\t, line\nbreak, [red], é東"
    assert terminal.shown(kept) == kept


def test_a_terminal_is_no_wider_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    @terminal.command
    def main(arguments: list[str]) -> int:
        return int(os.environ["COLUMNS"])

    for columns, expected in (("999999999", terminal.WIDEST), ("80", 80)):
        monkeypatch.setenv("COLUMNS", columns)
        assert main([]) == expected

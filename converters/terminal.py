# SPDX-License-Identifier: Apache-2.0
"""What every command shares: its terminal, and how it ends when something is wrong.

A terminal that cannot show a character gets its escape; a reader that goes away, as `head` does,
misses the rest, and the work goes on; a stream that is closed is one that nobody reads.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import io
import json
import logging
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar, cast, overload

from rich.errors import MarkupError

from converters import ExpectedError, extras, is_text

Main = TypeVar("Main", bound=Callable[..., Any])
STANDARD = 2  # the last of the descriptors that every process begins with
WIDEST = 999  # columns
# Beyond a machine's cores, each takes memory and brings nothing; a runtime dies of millions.
MOST_THREADS = 256
INTERRUPTED = 130  # the convention of shells for a command that Ctrl-C ended: 128 plus its number

# Signals that end a command, with its exit code: Ctrl-C, `kill` and a scheduler's limit, and a
# terminal that is closed.
_STOPS = {"SIGINT": INTERRUPTED, "SIGTERM": 143, "SIGHUP": INTERRUPTED}
# Seconds after which a command that still runs is ended again: what the signal raised can be lost,
# as happens while the converters are imported. What a command does at its end is done long before,
# or the command says `heard`.
AGAIN = 3.0
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)  # what Python sets itself

# What a terminal would obey, and what shows a text in another order than it has.
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)


class Stopped(KeyboardInterrupt):
    """The command is to end, as after Ctrl-C: what a signal raises.

    Args:
        exit_code: of the command.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


def stop_code(stop: KeyboardInterrupt) -> int:
    """The exit code of a command that Ctrl-C or a signal ended."""
    return stop.exit_code if isinstance(stop, Stopped) else INTERRUPTED


def heard() -> None:
    """Ends the repeats of a signal, for a command that caught it and has slow work left to do.

    The next signal is heard as the first one was.
    """
    if hasattr(signal, "setitimer"):  # Windows has none
        signal.setitimer(signal.ITIMER_REAL, 0.0)


class _Pipe(io.FileIO):
    """A descriptor whose reader may have gone; what is written then is dropped."""

    is_gone = False

    def write(self, data: Any) -> int:
        """Writes, or does as if."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.is_gone = True
        except OSError as error:
            if error.errno != errno.EIO:  # of a terminal that was closed
                raise
            self.is_gone = True
        return memoryview(data).nbytes


def count(text: str) -> int:
    """Parse a whole number of at least 1; a `type` of argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}, at least 1 is needed")
    return value


def threads(text: str) -> int:
    """Parse a number of threads, from 1 to `MOST_THREADS`; a `type` of argparse."""
    value = count(text)
    if value > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"got {text[:20]}, at most {MOST_THREADS} are possible")
    return value


@overload
def command(main: Main) -> Main: ...


@overload
def command(*, also: Mapping[type[Exception], int]) -> Callable[[Main], Main]: ...


def command(
    main: Main | None = None, *, also: Mapping[type[Exception], int] | None = None
) -> Main | Callable[[Main], Main]:
    """Decorates a command's `main`, which then prints to any terminal and pipe.

    This is the one place that turns errors into exit codes. An `ExpectedError` is printed in one
    line for each thing that is wrong, and its code returned. The command ends with code 2 and one
    line where an argument is no text, a package of an extra is missing, the system refuses a file,
    or what it printed could not be written. SIGTERM and SIGHUP end a command as Ctrl-C does: with
    one line and code 130, or 143 for SIGTERM.

    Args:
        main: takes the arguments, without the program's name, and returns the exit code.
        also: errors of Python that the command expects, with their exit codes: those of
            `benchmarks.measure`, which imports no class of ours.
    """
    if main is None:
        return lambda main: _guarded(main, also or {})
    return _guarded(main, also or {})


def hush() -> None:
    """Hides lines about their own insides that libraries print when they are imported.

    Every command begins with it, and every process that a command starts has to.
    """
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)


def _guarded(main: Main, also: Mapping[type[Exception], int]) -> Main:
    @functools.wraps(main)
    def guarded(arguments: Sequence[str] | None = None) -> Any:
        given = list(sys.argv[1:] if arguments is None else arguments)
        if len(os.environ.get("COLUMNS", "").strip()) > len(str(WIDEST)):
            os.environ["COLUMNS"] = str(WIDEST)  # lines are padded to it, whatever memory they take
        hush()
        with _streams(), _signals():
            for argument in given:
                if not argument.isascii() and not is_text(argument):
                    raise _ended(
                        f"the argument {argument!a} is no text in {sys.getfilesystemencoding()}"
                        ": pass UTF-8, in a locale such as LC_ALL=C.UTF-8"
                    )
            try:
                with _usage_in_a_line():
                    result = main(given)
            except MarkupError as error:  # of the library that says which argument is wrong
                odd = next((argument for argument in given if "[" in argument), "")
                raise _ended(
                    f"the arguments are not understood; see {shlex.quote(odd)}, and --help"
                ) from error
            except ImportError as error:
                if (message := extras.explain(error)) is None:
                    raise
                raise _ended(message) from error
            except ExpectedError as error:
                for line in error.lines:
                    _print_error(line, error.label)
                result = error.exit_code
            except tuple(also) as error:
                _print_error(error)
                result = next(code for kind, code in also.items() if isinstance(error, kind))
            except (MemoryError, RecursionError) as error:  # what came is too large, or too deep
                said = f": {error}" if str(error) else ""
                what = "memory" if isinstance(error, MemoryError) else "room for what is nested"
                raise _ended(f"there is not enough {what}{said}") from error
            except OSError as error:
                where = f": {error.filename}" if error.filename else ""
                raise _ended(f"{error.strerror or error}{where}") from error
            except KeyboardInterrupt as stop:
                print("stopped", file=sys.stderr)
                result = stop_code(stop)
            try:
                sys.stdout.flush()
            except OSError as error:
                raise _ended(f"cannot write what was to be printed: {error.strerror}") from error
            return result

    return cast(Main, guarded)


def word(path: Path | str) -> str:
    """A path as a word of a command that can be copied: quoted, and never taken for a flag."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def shown(text: str) -> str:
    """A text from outside for a terminal: controls and overrides of direction are escaped.

    Line breaks and tabs stay.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def say(text: str) -> None:
    """Print a text with something from outside in it, such as the name of a file; see `shown`."""
    print(shown(text))


def speaker(console: Any) -> Callable[[str], None]:
    """A function that prints a line on a console of rich, in which nothing is markup."""
    return lambda line: console.print(shown(line), markup=False)


def json_line(document: Any) -> str:
    """One line of JSON, with escapes where standard output cannot hold every character."""
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    line = json.dumps(document, ensure_ascii=not unicode)
    # JSON itself escapes those below a space; a terminal obeys others as well.
    return _CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], line)


def stream(line: str) -> bool:
    """Print a line at once, for a reader that works on each line as it comes.

    Returns:
        Whether somebody still reads: a command may stop where `head` has had enough.

    Raises:
        SystemExit: code 2, after one line, if the line cannot be written.
    """
    try:
        print(line, flush=True)
    except OSError as error:
        raise _ended(f"cannot write what was to be printed: {error.strerror}") from error
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return not (isinstance(raw, _Pipe) and raw.is_gone)


def _print_error(message: object, label: str = "error") -> None:
    """One line on standard error; control characters and line breaks are escaped."""
    shown = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in str(message).strip()
    )
    print(f"{label}: {shown}", file=sys.stderr)


def _ended(message: str) -> SystemExit:
    """The end of a command that could not begin, or could not print."""
    _print_error(message)
    return SystemExit(2)


@contextlib.contextmanager
def _usage_in_a_line() -> Iterator[None]:
    """Says in one line what argparse does not understand; it would print the usage as well."""

    def error(parser: argparse.ArgumentParser, message: str) -> NoReturn:
        raise _ended(f"{message}; see {parser.prog} --help")

    kept = argparse.ArgumentParser.error
    argparse.ArgumentParser.error = error  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        argparse.ArgumentParser.error = kept  # type: ignore[method-assign]


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Raises `Stopped` on the signals of `_STOPS`; one that is ignored, as by nohup, stays so."""
    kept = {}
    if threading.current_thread() is threading.main_thread():
        for name, code in _STOPS.items():
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) in _DEFAULTS:
                kept[number] = signal.signal(number, functools.partial(_stop, code))
    try:
        yield
    finally:
        heard()
        for number, handler in kept.items():
            signal.signal(number, handler)


def _stop(exit_code: int, number: int, _: object) -> None:
    if number != signal.SIGINT:  # a second Ctrl-C is meant; of others it would only disturb
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):  # Windows has none
        signal.signal(signal.SIGALRM, functools.partial(_stop_again, exit_code))
        signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    raise Stopped(exit_code)


def _stop_again(exit_code: int, _: int, __: object) -> None:
    raise Stopped(exit_code)


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Puts streams that never raise for a character or a reader in the place of Python's own."""
    while (null := os.open(os.devnull, os.O_RDWR)) <= STANDARD:
        pass  # a closed one's number would go to the next file that is opened, such as a model
    os.close(null)
    kept = sys.stdin, sys.stdout, sys.stderr
    if sys.stdin is None:  # it was closed
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for the whole command
    if sys.stdout is sys.__stdout__:  # else someone captures it
        sys.stdout = _lasting(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(2, sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = kept


def _lasting(descriptor: int, stream: TextIO | None) -> TextIO:
    """A stream for a descriptor, in the encoding of the one that it replaces."""
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
    file = _Pipe(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == STANDARD or file.isatty(),
        write_through=getattr(stream, "write_through", False),
    )

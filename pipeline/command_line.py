# SPDX-License-Identifier: Apache-2.0
"""Command lines of functions and of classes of settings: tyro's, with mistakes in one line."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, NoReturn, get_args, get_type_hints

import tyro
from rich.errors import MarkupError

from converters import one_line
from pipeline import __version__
from pipeline.errors import UserError

_BRACKET: Final = "\u27e6"  # printable, no markup, and in no argument of anybody's
_WIDE: Final = "1000"  # columns of a box in which no line is broken
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Parser(argparse.ArgumentParser):
    """Raises a UserError, one line, for what argparse would print with the usage."""

    def error(self, message: str) -> NoReturn:
        """Refuses a command line."""
        raise UserError(f"{message}; see {self.prog} --help")


def version_asked(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the program's version, which it does alone.

    Raises:
        UserError: `--version` stands beside anything else, such as the version of a model.
    """
    flags = itertools.takewhile(lambda argument: argument != "--", arguments)
    if not any(flag == "--version" or flag.startswith("--version=") for flag in flags):
        return False
    if list(arguments) != ["--version"]:
        raise UserError(
            "--version stands alone and prints the program's version; the version of a model is "
            "set with --model-version when it is built"
        )
    return True


def call(command: Callable[..., int | None], program: str, arguments: Sequence[str] | None) -> int:
    """Calls a function with what a command line says, or prints the version.

    Args:
        command: whose parameters are the flags, and whose docstring is the help.
        program: how it is called, for the help.
        arguments: those of the process for None.

    Returns:
        The exit code: what the function returned, or 0.

    Raises:
        UserError: what the function raises, `--version` beside anything else, or a flag that does
            not exist.
        SystemExit: after `--help`.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if version_asked(arguments):
        print(f"pipeline {__version__}")
        return 0
    only_on = (tyro.conf.FlagCreatePairsOff,)  # a flag has no negated form
    arguments = _positionals_first(arguments, _switches(command))
    given, flags = parsed(_of(command), program, arguments, config=only_on)
    return command(*given, **flags) or 0


def _of(command: Callable[..., int | None]) -> Callable[..., tuple[Any, Any]]:
    """A function with a command's parameters and help, which gives what came for them."""

    @functools.wraps(command)
    def taken(*given: Any, **flags: Any) -> tuple[Any, Any]:
        return given, flags

    return taken


def parsed(
    kind: Callable[..., Any],
    program: str,
    arguments: Sequence[str] | None,
    description: str | None = None,
    **how: Any,
) -> Any:
    """What tyro makes of a command line.

    Args:
        kind: a class of settings, or a function that does nothing but take its parameters.
        program: how it is called, for the help.
        arguments: those of the process for None.
        description: for the help; the docstring of `kind` for None.
        how: further arguments of `tyro.cli`.

    Raises:
        UserError: a flag does not exist, or a value does not fit; in one line, where tyro draws a
            box.
        SystemExit: after `--help`.
    """
    call = functools.partial(tyro.cli, kind, prog=program, description=description, **how)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return call(args=given)
    except SystemExit as end:
        if end.code in (None, 0):
            raise
    except MarkupError:  # an argument that is half of a markup of rich's
        pass
    raise UserError(f"{_complaint(call, given)}; see {program} --help")


def _complaint(call: Callable[..., Any], arguments: Sequence[str]) -> str:
    """What tyro says of a command line that it refuses, without the box around it."""
    # Square brackets are markup to rich, which draws the box, and would be missing in it.
    given = [each.replace("[", _BRACKET) for each in arguments]
    tyro._argparse_formatter.global_unrecognized_arg_and_prog = []  # or it lists them twice
    columns = os.environ.get("COLUMNS")
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
        os.environ["COLUMNS"] = _WIDE
        call(args=given)
    os.environ.pop("COLUMNS")
    if columns is not None:
        os.environ["COLUMNS"] = columns
    text = _COLORS.sub("", said.getvalue()).replace(_BRACKET, "[")
    lines = [line.strip("\u2502 ") for line in text.splitlines()[1:-1]]
    parts = [" ".join(part) for rule, part in itertools.groupby(lines, _is_rule) if not rule]
    if not parts:
        return "the arguments are not understood"
    near = [word for word in lines if word.startswith("--")] if "Perhaps" in text else []
    hint = f", did you mean {near[0].split()[0].rstrip(',')}?" if near else ""
    return f"{parts[0][:1].lower()}{one_line(parts[0][1:])}{hint}"


def _is_rule(line: str) -> bool:
    return bool(line) and not line.strip("\u2500")


def _switches(command: Callable[..., int | None]) -> set[str]:
    """The flags of a command that take no value."""
    found = {"-h", "--help"}
    for name, hint in get_type_hints(command, include_extras=True).items():
        kind, *how = get_args(hint) or (hint,)
        if kind is bool:
            given = next((one.name for one in how if getattr(one, "name", None)), name)
            found |= {f"--{sign}{given.replace('_', '-')}" for sign in ("", "no-")}
    return found


def _positionals_first(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """The same arguments with those that belong to no flag in front.

    `FILE --context TEXT QUESTION` would fail otherwise: argparse decides at FILE that an optional
    QUESTION was left out. Every flag that is no switch takes one value.
    """
    words: list[str] = []
    flags: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*flags, "--", *words, *rest]
        if not argument.startswith("-") or argument == "-":
            words.append(argument)
            continue
        flags.append(argument)
        if argument not in switches and "=" not in argument:
            flags += itertools.islice(rest, 1)
    return [*words, *flags]

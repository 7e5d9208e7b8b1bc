"""The command line: convert files, and show that every format works."""

import argparse
import inspect
import json
import re
import signal
import sys
import threading
import types
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import attrs

from spikelab import demo
from spikelab.data_loaders.data_loaders import load
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.registry import FORMATS, Format, named_by
from spikelab.storage.urls import is_s3_url

_PRIVATE = ("s3_upload", "aws_", "region_name")
"""Options without a flag: an S3 URL uploads, and the environment says how."""

_PARAMETER = re.compile(r"^(\w[\w, ]*) : .*\n((?:    .*\n)+)", re.MULTILINE)
"""An entry of a numpydoc section: names, a type, and the text below."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the command line are."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"spikelab: error: {message}; see {self.prog} --help\n")


class _WrongCommandError(Exception):
    """The options of a command do not fit together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        # As Ctrl-C does, so that nothing is left behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status: int = options.run(options)
        except KeyboardInterrupt:
            return _fail("interrupted", 130)
        except _WrongCommandError as error:
            return _fail(str(error), 2)
        except Exception as error:  # whatever went wrong, a user gets one line
            return _fail(str(error) or type(error).__name__, 1)
    return status


def _fail(message: str, status: int) -> int:
    print(f"spikelab: error: {' '.join(message.split())}", file=sys.stderr)
    return status


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"spikelab: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="spikelab",
        description="Take spike-sorted data into the files that other tools read.",
    )
    parser.add_argument(
        "--version", action="version", version=f"spikelab {version('spikelab')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_convert(commands.add_parser("convert", help="write a file in another format"))
    _add_demo(
        commands.add_parser("demo", help="try every format on a simulated recording")
    )
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="where to write")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    row = "{:<12}  {:<13}  {:>9}  {:>8}  {}"
    print(row.format("format", "file", "bytes", "time", "read back"))
    passed = True
    if is_s3_url(options.folder):
        raise ValueError(f"DIR must be a folder of this machine, got {options.folder}")
    for outcome in demo.run(Path(options.folder)):
        passed &= outcome.passed
        milliseconds = f"{outcome.seconds * 1000:.0f} ms"
        result = outcome.result if outcome.passed else f"FAILED: {outcome.result}"
        case = outcome.case
        print(
            row.format(case.title, case.target, outcome.n_bytes, milliseconds, result)
        )
    return 0 if passed else 1


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="file, folder or S3 URL to read"
    )
    parser.add_argument("dest", metavar="DEST", help="file, folder or S3 URL to write")
    parser.add_argument(
        "--to",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"one of {', '.join(FORMATS)}; by default what the name DEST says",
    )
    parser.add_argument(
        "--source-options",
        type=_json,
        default={},
        metavar="JSON",
        help="arguments of the loader, for a SOURCE that does not say all itself",
    )
    for name, option in _all_options().items():
        _add_option(parser, name, option)
    parser.set_defaults(run=_convert)


@attrs.frozen
class _Option:
    """An option: its type, and what it is, with the formats of which that is true."""

    hint: Any
    texts: dict[str, list[str]] = attrs.Factory(dict)

    def help(self) -> str:
        """Return what the option is, with the formats that take it."""
        if len(self.formats) == len(FORMATS):
            return f"{next(iter(self.texts))} (every format)"
        return "; ".join(f"{text} ({', '.join(of)})" for text, of in self.texts.items())

    @property
    def formats(self) -> list[str]:
        """The formats that take it."""
        return [name for of in self.texts.values() for name in of]


def _all_options() -> dict[str, _Option]:
    """Return every option of every format."""
    found: dict[str, _Option] = {}
    for entry in FORMATS.values():
        texts = _texts(entry.export)
        for name, hint in _options(entry).items():
            option = found.setdefault(name, _Option(hint))
            option.texts.setdefault(texts.get(name, ""), []).append(entry.name)
    return found


def _options(entry: Format) -> dict[str, Any]:
    """Return the keyword options of a format's export function and their types."""
    hints = typing.get_type_hints(entry.export)
    return {
        name: hints[name]
        for name, parameter in inspect.signature(entry.export).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and not name.startswith(_PRIVATE)
    }


def _texts(export: Callable[..., Any]) -> dict[str, str]:
    """Return the first sentence of what a docstring says about each parameter."""
    found = {}
    for names, text in _PARAMETER.findall(f"{inspect.getdoc(export)}\n"):
        sentence = " ".join(text.split()).split(". ")[0].removesuffix(".")
        plain = sentence.replace("`", "").replace("%", "%%")
        found.update(dict.fromkeys(names.split(", "), plain))
    return found


def _add_option(parser: argparse.ArgumentParser, name: str, option: _Option) -> None:
    flags = [f"--{name.replace('_', '-')}"]
    if "_" in name:
        flags.append(f"--{name}")
    how: dict[str, Any] = {"dest": name, "help": option.help()}
    kind = _kind(option.hint)
    if kind is bool:
        parser.add_argument(*flags, action=argparse.BooleanOptionalAction, **how)
        return
    metavar = {int: "N", float: "NUMBER", list: "N", _json: "JSON", str: "TEXT"}
    how["metavar"] = metavar.get(kind, "JSON_FILE")
    if kind is list:
        how["nargs"], kind = "+", int
    parser.add_argument(*flags, type=kind, **how)


def _kind(hint: Any) -> Any:
    """Return what turns the text of an option into a value of type `hint`."""
    choices = typing.get_args(hint) if _is_union(hint) else (hint,)
    for choice in choices:
        origin = typing.get_origin(choice) or choice
        if choice in (bool, int, float):
            return choice
        if choice in (NWBSession, NWBSubject):
            return lambda path: _facts(choice, path)
        if inspect.isclass(origin) and issubclass(origin, typing.Mapping):
            return _json
        if (
            origin is not str
            and inspect.isclass(origin)
            and issubclass(origin, Sequence)
        ):
            return list
    return str


def _facts(cls: Any, path: str) -> Any:
    """Return the session or subject that a JSON file describes."""
    try:
        return cls(**_json(Path(path).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from error


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"not JSON: {error}, got {text!r:.80}"
        ) from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, got {text!r:.80}")
    return value


def _convert(options: argparse.Namespace) -> int:
    target = FORMATS[options.to] if options.to else named_by(options.dest)
    if target is None:
        raise _WrongCommandError(
            f"--to must be given: the name {options.dest!r} does not say which of "
            f"{', '.join(FORMATS)} to write"
        )
    given = {
        name: value
        for name in _all_options()
        if (value := getattr(options, name)) is not None
    }
    _check_given(target, given)
    keywords = {"verify": True, "progress": sys.stderr.isatty(), **given}
    written = target.export(
        load(
            options.source,
            storage_options=options.storage_options,
            progress=keywords["progress"],
            **options.source_options,
        ),
        options.dest,
        **keywords,
    )
    print("\n".join(written) if isinstance(written, tuple) else written)
    return 0


def _check_given(target: Format, given: Mapping[str, Any]) -> None:
    """Raise for an option that a format does not have, or that it needs."""
    own = _options(target)
    for name in given:
        if name not in own:
            raise _WrongCommandError(
                f"--{name.replace('_', '-')} is no option of {target.name}, "
                f"but of {', '.join(_all_options()[name].formats)}"
            )
    parameters = inspect.signature(target.export).parameters
    for name in own:
        if name not in given and parameters[name].default is inspect.Parameter.empty:
            raise _WrongCommandError(
                f"--{name.replace('_', '-')} must be given for {target.name}"
            )

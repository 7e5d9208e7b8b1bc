"""The command line: convert recordings, look at them, show that every format works."""

import argparse
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from spikelab import demo
from spikelab.batch.options import suggestion
from spikelab.cli import convert as cli_convert
from spikelab.errors import OptionError
from spikelab.storage.urls import is_s3_url


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the command line are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **kwargs,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments; for an unknown one, name the option that may be meant."""
        texts = sys.argv[1:] if args is None else args
        dashed = [_dashed(text) for text in texts]
        found, unknown = super().parse_known_args(dashed, namespace)
        if unknown:
            flags = [text.split("=")[0] for text in unknown if text.startswith("-")]
            hints = [suggestion(flag, self._option_string_actions) for flag in flags]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(hints)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Exit with one line."""
        self.exit(2, f"spikelab: error: {message}; see {self.prog} --help\n")


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
        except OptionError as error:
            flag = cli_convert.flag(error.option)
            return _fail(f"{flag} {error.problem}", 2)
        except Exception as error:  # whatever went wrong, a user gets one line
            return _fail(str(error) or type(error).__name__, 1)
    return status


def _dashed(text: str) -> str:
    """Return an argument with the name of its option written with dashes."""
    name, equals, value = text.partition("=")
    return name.replace("_", "-") + equals + value if name[:2] == "--" else text


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
    cli_convert.add_arguments(
        commands.add_parser("convert", help="write files in another format")
    )
    _add_show(commands.add_parser("show", help="print what a file or folder holds"))
    _add_demo(
        commands.add_parser("demo", help="try every format on a simulated recording")
    )
    return parser


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="file, folder or URL")
    parser.add_argument(
        "--html", metavar="FILE", help="write a page with tables and pictures"
    )
    cli_convert.add_storage_options(parser)
    parser.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> int:
    from spikelab.look import show

    status: int = show(options.source, options.html, options.storage_options)
    return status


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="where to write")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    row = "{:<12}  {:<13}  {:>9}  {:>8}  {}"
    print(row.format("format", "file", "bytes", "time", "read back"))
    passed = True
    if is_s3_url(options.folder):
        raise ValueError(f"DIR must be a folder of this machine, got {options.folder}")
    for outcome in demo.run(Path(options.folder).expanduser()):
        passed &= outcome.passed
        milliseconds = f"{outcome.seconds * 1000:.0f} ms"
        result = outcome.result if outcome.passed else f"FAILED: {outcome.result}"
        case = outcome.case
        print(
            row.format(case.title, case.target, outcome.n_bytes, milliseconds, result)
        )
    return 0 if passed else 1

"""The command line: convert recordings, look at them, show that every format works."""

import argparse
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from spikelab import __version__, demo
from spikelab.batch.options import suggestion
from spikelab.cli import convert as cli_convert
from spikelab.errors import OptionError
from spikelab.storage.urls import is_url


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
        dashed = [_dashed(text) for text in (sys.argv[1:] if args is None else args)]
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
        warnings.showwarning = lambda message, *_, **__: _say("warning", message)
        try:
            status: int = options.run(options)
        except KeyboardInterrupt:
            _say("error", "interrupted")
            return 130
        except OptionError as error:
            _say("error", f"{cli_convert.flag(error.option)} {error.problem}")
            return 2
        except Exception as error:  # whatever went wrong, a user gets one line
            _say("error", str(error) or type(error).__name__)
            return 1
    return status


def _dashed(text: str) -> str:
    """Return an argument with the name of its option written with dashes."""
    name, equals, value = text.partition("=")
    return name.replace("_", "-") + equals + value if name[:2] == "--" else text


def _say(kind: str, message: object) -> None:
    print(f"spikelab: {kind}: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="spikelab",
        description="Take spike-sorted data into the files that other tools read.",
    )
    about = f"spikelab {__version__}"
    parser.add_argument("--version", action="version", version=about)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    converting = commands.add_parser("convert", help="write files in another format")
    cli_convert.add_arguments(converting)
    showing = commands.add_parser("show", help="print what a file or folder holds")
    text = "file, folder, URL, or the report of a batch"
    showing.add_argument("source", metavar="SOURCE", help=text)
    text = "write a page with tables and pictures, of a report one line per recording"
    showing.add_argument("--html", metavar="FILE", help=text)
    cli_convert.add_storage_options(showing)
    showing.set_defaults(run=_show)
    text = "try every format on a simulated recording"
    trying = commands.add_parser("demo", help=text)
    trying.add_argument("folder", metavar="DIR", help="where to write")
    trying.set_defaults(run=_demo)
    return parser


def _show(options: argparse.Namespace) -> int:
    from spikelab.look import show

    status: int = show(options.source, options.html, options.storage_options)
    return status


def _demo(options: argparse.Namespace) -> int:
    row = "{:<12}  {:<13}  {:>9}  {:>8}  {}"
    if is_url(options.folder):
        raise ValueError(f"DIR must be a folder of this machine, got {options.folder}")
    print(row.format("format", "file", "bytes", "time", "read back"))
    status = 0
    for case, n_bytes, seconds, result, passed in demo.run(
        Path(options.folder).expanduser()
    ):
        shown = result if passed else f"FAILED: {result}"
        time = f"{seconds * 1000:.0f} ms"
        print(row.format(case.title, case.target, n_bytes, time, shown))
        status |= not passed
    return status

"""The command line: convert recordings, look at them, show that every format works."""

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from spikelab import __version__, demo
from spikelab.batch.conversion import Conversion, Job, convert, format_of
from spikelab.batch.executors import ProcessPool, dask_cluster
from spikelab.batch.many import (
    Batch,
    in_folder,
    progress_bar,
    stem_of,
    template_of,
)
from spikelab.batch.options import Option, json_object, options_of, suggestion
from spikelab.batch.places import Places, is_pattern, path_or_url
from spikelab.errors import OptionError
from spikelab.look import show
from spikelab.registry import FORMATS, Format
from spikelab.storage.urls import expanded, is_url

_EXAMPLES = """\
examples:
  spikelab convert cells.h5 cells.nwb --session session.json --subject subject.json
  spikelab convert 'sorted/*/phy' 'nwb/{parent}.nwb' --jobs 4
"""

_METAVARS = {int: "N", float: "NUMBER", dict: "JSON", str: "TEXT"}

_EVERY, _SEVERAL = "options of every format", "options of several formats"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parsed(sys.argv[1:] if arguments is None else arguments)
    # As Ctrl-C does, so that nothing is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with warnings.catch_warnings():
        # Losses are shown, whatever Python's filters.
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: _say(f"warning: {message}")
        try:
            status: int = options.run(options)
        except KeyboardInterrupt:
            _say("error: interrupted")
            return 130
        except OptionError as error:
            places = {"target": "TARGET", "sources": "SOURCE"}
            name = places.get(error.option) or _flag(error.option)
            _say(f"error: {name} {error.problem}")
            return 2
        except Exception as error:  # whatever went wrong, a user gets one line
            _say(f"error: {str(error) or type(error).__name__}")
            return 1
    return status


def _say(text: str) -> None:
    print(f"spikelab: {' '.join(text.split())}", file=sys.stderr)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of the command line are."""

    def __init__(self, **kwargs: Any) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(**kwargs, allow_abbrev=False, formatter_class=layout)

    def error(self, message: str) -> NoReturn:
        """Exit with one line."""
        self.exit(2, f"spikelab: error: {message}; see {self.prog} --help\n")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse arguments; for an unknown option, name the one that may be meant.

    Options may be written with underscores, and stand before, between and after places.
    """
    options, rest = _parser().parse_known_args(map(_with_dashes, arguments))
    flags = [text.split("=")[0] for text in rest if text.startswith("-")]
    if not flags and "places" in options:
        options.places += rest  # argparse takes only those before the first option
    elif rest:
        command: argparse.ArgumentParser = options.command
        known = command._option_string_actions
        hints = "".join(suggestion(flag, known) for flag in flags)
        command.error(f"unrecognized arguments: {' '.join(rest)}{hints}")
    return options


def _with_dashes(argument: str) -> str:
    """Return an argument; if it is an option, with dashes for the underscores in its name."""
    name, equals, value = argument.partition("=")
    return _flag(name[2:]) + equals + value if name.startswith("--") else argument


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="spikelab",
        description="Take spike-sorted data into the files that other tools read.",
    )
    about = f"spikelab {__version__}"
    parser.add_argument("--version", action="version", version=about)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_convert(commands.add_parser("convert", help="write files in another format"))
    showing = commands.add_parser("show", help="print what a file or folder holds")
    text = "file, folder, URL, or the report of a batch"
    showing.add_argument("source", metavar="SOURCE", help=text)
    text = "write a page with tables and pictures, of a report one line per recording"
    showing.add_argument("--html", metavar="FILE", help=text)
    _add_options_of_sources(showing)
    showing.set_defaults(run=_show, command=showing)
    text = "try every format on a simulated recording"
    trying = commands.add_parser("demo", help=text)
    trying.add_argument("folder", metavar="DIR", help="where to write")
    trying.set_defaults(run=_demo, command=trying)
    return parser


def _add_convert(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``spikelab convert``."""
    parser.description = "Write recordings in another format."
    parser.usage = "spikelab convert SOURCE [SOURCE ...] TARGET [--to FORMAT] [options]"
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "places",
        nargs="+",
        metavar="SOURCE ... TARGET",
        help="files, folders, URLs or patterns to read, and at last what to write: a "
        "file or folder, or for several a folder or a template, whose fields are "
        "{stem}, {parent}, {index} and the columns of the table",
    )
    text = f"one of {', '.join(FORMATS)}; by default what the name TARGET says"
    parser.add_argument("--to", choices=FORMATS, metavar="FORMAT", help=text)
    _add_options_of_sources(parser)
    many = parser.add_argument_group("many recordings")
    where = many.add_mutually_exclusive_group()
    _add(where, "--jobs", "N", "convert N at a time", _count)
    _add(where, "--dask", "ADDRESS", "convert on the Dask cluster at ADDRESS")
    text = (
        "one row per recording: its source, fields of session and subject, options, "
        "and names for TARGET; without SOURCE, all of its rows"
    )
    _add(many, "--table", "FILE.csv", text)
    text = "append a row per recording to FILE (.jsonl or .csv)"
    _add(many, "--report", "FILE", text)
    text = "write also what the report says is written and unchanged"
    many.add_argument("--no-resume", action="store_true", help=text)
    _add_format_options(parser)
    parser.set_defaults(run=_convert, command=parser)


def _add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add each option of the formats once, in the group of those that have it."""
    by_format: dict[str, dict[str, Option]] = {}  # of each option
    for entry in FORMATS.values():
        for name, option in options_of(entry).items():
            if name != "storage_options":
                by_format.setdefault(name, {})[entry.name] = option
    titles = [_EVERY, _SEVERAL, *(f"options of {name}" for name in FORMATS)]
    groups = {title: parser.add_argument_group(title) for title in titles}
    for options in by_format.values():
        first, option = next(iter(options.items()))
        title, text = f"options of {first}", option.text
        if len(options) == len(FORMATS):
            title = _EVERY
        elif len(options) > 1:
            title = _SEVERAL
            names: dict[str, list[str]] = {}  # of the formats, by what they say
            for name, known in options.items():
                names.setdefault(known.text, []).append(name)
            text = "; ".join(f"{text} ({', '.join(of)})" for text, of in names.items())
        how: dict[str, Any] = {"dest": option.name, "help": text.replace("%", "%%")}
        if option.kind is bool:
            how["action"] = argparse.BooleanOptionalAction
        elif option.kind is list:
            how |= {"type": int, "nargs": "+", "metavar": "N"}
        else:
            how["type"] = int if option.kind is int else _argument(option.parsed)
            how["metavar"] = _METAVARS.get(option.kind, "JSON_FILE")
        groups[title].add_argument(_flag(option.name), **how)


def _add_options_of_sources(parser: Any) -> None:
    text = "arguments of the loader, for a SOURCE that does not say all itself"
    _add(parser, "--source-options", "JSON", text, json_object)
    text = "how to reach S3 or another store, such as '{\"anon\": true}'"
    _add(parser, "--storage-options", "JSON", text, json_object)


def _add(
    group: Any, name: str, metavar: str, text: str, parse: Callable[[str], Any] = str
) -> None:
    group.add_argument(name, metavar=metavar, help=text, type=_argument(parse))


def _argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type for argparse whose errors say what is wrong."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except (OSError, TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{error}") from error

    return parsed


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"must be a number from 1, got {text!r}")
    return int(text)


def _convert(options: argparse.Namespace) -> int:
    """Convert one recording, or many."""
    *sources, target = options.places
    if not sources and not options.table:
        raise OptionError("sources", "must be given, and then TARGET")
    is_one = len(sources) == 1 and not options.table
    if is_one and is_pattern(sources[0]):
        is_one = Places(options.storage_options).matches(sources[0]) == sources
    if is_one:
        entry, target = _single_target(sources[0], target, options.to)
    else:
        entry, target = template_of(target, options.to)
    names = {name for f in FORMATS.values() for name in options_of(f)}
    given = {n: v for n, v in vars(options).items() if n in names and v is not None}
    storage_options = given.pop("storage_options", None)
    if not is_one or options.jobs or options.dask or options.report or "{" in target:
        job = Job(
            "", target, entry.name, given, options.source_options, storage_options
        )
        return _run(sources, job, options)
    given.setdefault("progress", _has_bar())
    written = convert(
        sources[0],
        target,
        to=options.to,
        source_options=options.source_options,
        storage_options=storage_options,
        **given,
    )
    print("\n".join(written) if isinstance(written, tuple) else written)
    return 0


def _single_target(source: str, target: str, to: str | None) -> tuple[Format, str]:
    """Return the format and the name of one target: in a folder, a file of that format."""
    target = path_or_url(target)
    is_folder = target.endswith(("/", os.sep)) or (
        not is_url(target) and Path(target).is_dir()
    )
    entry = format_of(target, to)
    if is_folder and entry.suffixes:
        target = in_folder(target, stem_of(path_or_url(source)), entry)
    return entry, target


def _run(sources: list[str], pattern: Job, options: argparse.Namespace) -> int:
    """Run a batch and print a line for each recording, or a progress bar."""
    batch = Batch(
        sources,
        pattern,
        table=options.table,
        report=options.report,
        resume=not options.no_resume,
    )
    counts = {"written": 0, "kept": 0, "failed": 0}
    has_bar, n_jobs = _has_bar(), len(batch.jobs)
    executor: Any = contextlib.nullcontext()
    if options.jobs and len(batch.kept) < n_jobs:
        executor = ProcessPool(options.jobs)
    elif options.dask and len(batch.kept) < n_jobs:
        executor = dask_cluster(options.dask)
    with executor as runner, progress_bar(n_jobs, has_bar) as (advance, say):

        def record(row: Conversion, _: Exception | None) -> None:
            counts[row.status] += 1
            if row.status == "written":
                for text in row.losses:
                    say(f"spikelab: warning: {row.source}: {' '.join(text.split())}")
            if row.error is not None:
                say(f"spikelab: error: {row.source}: {row.error}")
            elif not has_bar:
                print(f"{row.status:<7}  {row.target}", flush=True)
            advance()

        try:
            batch.run(record, runner)
        finally:
            texts = [f"{n} {status}" for status, n in counts.items()]
            if n_left := n_jobs - sum(counts.values()):
                texts.append(f"{n_left} not begun")
            print(f"{', '.join(texts)}; report: {batch.report.path}", flush=True)
    return 1 if counts["failed"] else 0


def _has_bar() -> bool:
    return sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None


def _show(options: argparse.Namespace) -> int:
    return show(
        options.source, options.html, options.storage_options, options.source_options
    )


def _demo(options: argparse.Namespace) -> int:
    """Print a row for each export of the demonstration; return 1 if one is wrong."""
    row = "{:<12}  {:<13}  {:>9}  {:>8}  {}"
    if is_url(options.folder):
        raise ValueError(f"DIR must be a folder of this machine, got {options.folder}")
    print(row.format("format", "file", "bytes", "time", "read back"))
    status, folder = 0, Path(expanded(options.folder))
    for case, n_bytes, seconds, text, passed in demo.run(folder):
        if not passed:
            status, text = 1, f"FAILED: {text}"
        time = f"{seconds * 1000:.0f} ms"
        print(row.format(case.title, case.target, n_bytes, time, text))
    return status

"""``spikelab convert``: its options, from those of the formats, and what it prints."""

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from spikelab.batch.conversion import Conversion, Job, convert, format_of
from spikelab.batch.executors import ProcessPool, dask_cluster
from spikelab.batch.many import Batch, progress_bar
from spikelab.batch.options import Option, json_object, options_of
from spikelab.batch.places import is_pattern, resolved
from spikelab.batch.plan import in_folder, stem_of, template_of
from spikelab.errors import OptionError
from spikelab.registry import FORMATS
from spikelab.storage.urls import is_url

_EXAMPLES = """\
examples:
  spikelab convert cells.h5 cells.nwb --session session.json --subject subject.json
  spikelab convert 'sorted/*/phy' 'nwb/{parent}.nwb' --jobs 4
"""

_METAVARS = {int: "N", float: "NUMBER", list: "N", dict: "JSON", str: "TEXT"}

_EVERY, _SEVERAL = "options of every format", "options of several formats"


def flag(name: str) -> str:
    """Return an option as it is typed."""
    places = {"target": "TARGET", "sources": "SOURCE"}
    return places.get(name, f"--{name.replace('_', '-')}")


def add_storage_options(parser: Any) -> None:
    """Add the option that says how a store is reached."""
    text = "how to reach S3 or another store, such as '{\"anon\": true}'"
    _add(parser, "--storage-options", "JSON", text, json_object)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``spikelab convert`` to its parser."""
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
    text = "arguments of the loader, for a SOURCE that does not say all itself"
    _add(parser, "--source-options", "JSON", text, json_object)
    add_storage_options(parser)
    many = parser.add_argument_group("many recordings")
    where = many.add_mutually_exclusive_group()
    _add(where, "--jobs", "N", "convert N at a time", _count)
    _add(where, "--dask", "ADDRESS", "convert on the Dask cluster at ADDRESS")
    text = (
        "one row per recording: its source, fields of session and subject, options, "
        "and names for TARGET; without SOURCE, all of its rows"
    )
    _add(many, "--table", "FILE.csv", text)
    _add(
        many, "--report", "FILE", "append a row per recording to FILE (.jsonl or .csv)"
    )
    text = "write also what the report says is written and unchanged"
    many.add_argument("--no-resume", action="store_true", help=text)
    _add_format_options(parser)
    parser.set_defaults(run=_convert)


def _add(
    group: Any, name: str, metavar: str, text: str, parse: Callable[[str], Any] = str
) -> None:
    group.add_argument(name, metavar=metavar, help=text, type=_argument(parse))


def _add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add each option of the formats once, in the group of those that have it."""
    found: dict[str, dict[str, Option]] = {}
    for entry in FORMATS.values():
        for name, option in options_of(entry).items():
            if name != "storage_options":
                found.setdefault(name, {})[entry.name] = option
    titles = [_EVERY, _SEVERAL, *(f"options of {name}" for name in FORMATS)]
    groups = {title: parser.add_argument_group(title) for title in titles}
    for options in found.values():
        title = f"options of {next(iter(options))}"
        if len(options) > 1:
            title = _EVERY if len(options) == len(FORMATS) else _SEVERAL
        texts: dict[str, list[str]] = {}
        for entry_name, option in options.items():
            texts.setdefault(option.text, []).append(entry_name)
        text = next(iter(texts))
        if title == _SEVERAL:
            text = "; ".join(f"{t} ({', '.join(of)})" for t, of in texts.items())
        _add_option(groups[title], next(iter(options.values())), text)


def _add_option(group: Any, option: Option, text: str) -> None:
    name = flag(option.name)
    how: dict[str, Any] = {"dest": option.name, "help": text.replace("%", "%%")}
    if option.kind is bool:
        group.add_argument(name, action=argparse.BooleanOptionalAction, **how)
        return
    kind: Any = option.kind
    if kind is list:
        kind, how["nargs"] = int, "+"
    if kind not in (int, float):
        kind = _argument(option.parsed)
    metavar = _METAVARS.get(option.kind, "JSON_FILE")
    group.add_argument(name, type=kind, metavar=metavar, **how)


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
    *sources, target = options.places
    if not sources and not options.table:
        raise OptionError("sources", "must be given, and then TARGET")
    names = {name for entry in FORMATS.values() for name in options_of(entry)}
    given = {n: v for n in names if (v := getattr(options, n)) is not None}
    storage_options = given.pop("storage_options", None)
    is_one = len(sources) == 1 and not is_pattern(sources[0]) and not options.table
    if is_one:
        target = _target_of_one(sources[0], target, options.to)
        if not (options.jobs or options.dask or options.report or "{" in target):
            written = convert(
                sources[0],
                target,
                to=options.to,
                source_options=options.source_options,
                storage_options=storage_options,
                **{"progress": _has_bar(), **given},
            )
            print("\n".join(written) if isinstance(written, tuple) else written)
            return 0
        entry, template = format_of(target, options.to), target
    else:
        entry, template = template_of(target, options.to)
    others = (options.source_options, storage_options)
    return _run(sources, Job("", template, entry.name, given, *others), options)


def _target_of_one(source: str, target: str, to: str | None) -> str:
    """Return the target of a single source: in a folder, if the format is a file."""
    text = resolved(target)
    if not text.endswith(("/", os.sep)) and (is_url(text) or not Path(text).is_dir()):
        return text
    entry = format_of(text, to)
    return in_folder(text, stem_of(resolved(source)), entry) if entry.suffixes else text


def _run(sources: list[str], pattern: Job, options: argparse.Namespace) -> int:
    """Run a batch and print a line for each recording, or a progress bar."""
    batch = Batch.of(
        sources,
        pattern,
        table=options.table,
        report=options.report,
        resume=not options.no_resume,
    )
    counts = {"written": 0, "kept": 0, "failed": 0}
    has_bar, n_jobs = _has_bar(), len(batch.jobs)
    with (
        _executor(options, n_jobs - len(batch.kept)) as executor,
        progress_bar(n_jobs, has_bar) as (advance, say),
    ):

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
            batch.run(record, executor)
        finally:
            texts = [f"{n} {status}" for status, n in counts.items()]
            if left := n_jobs - sum(counts.values()):
                texts.append(f"{left} not begun")
            print(f"{', '.join(texts)}; report: {batch.report.path}", flush=True)
    return 1 if counts["failed"] else 0


def _has_bar() -> bool:
    return sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None


def _executor(
    options: argparse.Namespace, n_jobs: int
) -> contextlib.AbstractContextManager[Executor | None]:
    if options.jobs and n_jobs:
        return ProcessPool(options.jobs)
    if options.dask and n_jobs:
        return dask_cluster(options.dask)
    return contextlib.nullcontext()

"""What a batch will do: one job per recording, checked before the first file is written."""

import os
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from spikelab.batch.conversion import FURTHER_FILES, Job, StrPath, format_of
from spikelab.batch.options import check_options, split_append, suggestion
from spikelab.batch.places import Places, identity, resolved
from spikelab.batch.report import NAME, Report
from spikelab.batch.table import Row, checked_rows
from spikelab.errors import OptionError
from spikelab.registry import FORMATS, Format, named_by
from spikelab.storage.publish import is_url

_FIELDS = ("stem", "parent", "index")


def planned(
    sources: StrPath | Iterable[StrPath] | None,
    entry: Format,
    template: str,
    *,
    table: Any,
    source_options: Mapping[str, Any],
    storage_options: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    places: Places,
) -> dict[str, Job]:
    """Return the jobs of a batch by the identity of their targets, in order.

    Raises
    ------
    OptionError
        If an option is wrong, a field of the template unknown, or two recordings have
        one target, or one that is the source of another.
    FileNotFoundError
        If a pattern matches nothing.
    ValueError
        If a value of the table is wrong.
    """
    append, options = split_append(entry, options)
    check_options(entry, options)
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    found = [name for source in sources or () for name in places.matches(source)]
    texts = [template, *(str(options.get(name, "")) for name in FURTHER_FILES)]
    fields = {name for text in texts for name in _fields_of(text)}
    rows: Sequence[Row | None] = [None] * len(found)
    if table is not None:
        every = checked_rows(table, entry, options, fields - set(_FIELDS))
        rows = _chosen(every, found, places)
        found = [resolved(row.source) for row in rows if row is not None]
    elif not found:
        raise OptionError("sources", "must name at least one recording, got none")
    columns = {name for row in rows if row for name in row.names}
    _check_fields(fields, columns)
    jobs = []
    for index, (source, row) in enumerate(zip(found, rows, strict=True)):
        names = {**_names(source, index), **(row.names if row else {})}
        given = {**options, **row.options} if row else options
        jobs.append(
            Job(
                source,
                _filled(template, names, row),
                entry.name,
                _with_templates(given, names, row),
                _with_templates(source_options, names, row),
                storage_options,
                append,
            )
        )
    return _without_clashes(jobs)


def template_of(target: StrPath, to: str | None) -> tuple[Format, str]:
    """Return the format and the template of the targets; a folder holds all of them."""
    text = resolved(target)
    is_folder = text.endswith(("/", os.sep)) or (
        "{" not in text and (named_by(text) is None or Path(text).is_dir())
    )
    if not is_folder:
        return format_of(text, to), text
    if to is None:
        raise OptionError("to", f"must be given for a folder of files, {text!r}")
    entry = format_of(text, to)
    suffix = entry.suffixes[0] if entry.suffixes else ""
    return entry, f"{text.rstrip('/' + os.sep) or text[:1]}/{{stem}}{suffix}"


def report_of(target: StrPath, report: StrPath | None) -> Report:
    """Return the report, by default in the folder of local targets."""
    return Report(_report_beside(target) if report is None else report)


def _report_beside(target: StrPath) -> StrPath:
    text = resolved(target)
    if is_url(text):
        return NAME
    start, brace, _ = text.partition("{")
    is_file = bool(brace) or (named_by(text) is not None and not Path(text).is_dir())
    return Path(f"{start}_").parent / NAME if is_file else Path(text, NAME)


def _chosen(rows: list[Row], sources: list[str], places: Places) -> list[Row]:
    """Return the rows of the given sources, of all if none is given."""
    for row in rows:
        if not is_url(row.source) and not places.exists(resolved(row.source)):
            raise ValueError(
                f"{row}, column source: no such file or folder, got {row.source!r}"
            )
    if not sources:
        return rows
    wanted = {identity(source): source for source in sources}
    chosen = [row for row in rows if identity(resolved(row.source)) in wanted]
    known = {identity(resolved(row.source)) for row in chosen}
    if missing := [name for key, name in wanted.items() if key not in known]:
        raise ValueError(
            f"table must have a row for each source, none for {missing[0]}"
        )
    return chosen


def _names(source: str, index: int) -> dict[str, Any]:
    """Return the fields of a template that every source has."""
    parent = _full(source).parent.name
    return {"stem": stem_of(source), "parent": parent, "index": index}


def stem_of(source: str) -> str:
    """Return the name of a file or folder without the suffix of its format."""
    name = _full(source).name
    suffixes = [suffix for entry in FORMATS.values() for suffix in entry.suffixes]
    found = [suffix for suffix in suffixes if name.lower().endswith(suffix)]
    if found:
        return name[: -max(map(len, found))] or name
    is_file = not is_url(source) and Path(source).is_file()
    return PurePath(name).stem if is_file else name


def _full(source: str) -> PurePath:
    return PurePosixPath(source) if is_url(source) else Path(source).absolute()


def _fields_of(template: str) -> list[str]:
    """Return the names of the fields in a template."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise OptionError(
            "target", f"must be a template: {error}, got {template!r}"
        ) from None
    return [name for _, name, _, _ in parts if name is not None]


def _check_fields(fields: Iterable[str], columns: Iterable[str]) -> None:
    known = [*_FIELDS, *sorted(columns)]
    for name in fields:
        if name not in known:
            raise OptionError(
                "target",
                f"has the unknown field {{{name}}}; fields are "
                f"{', '.join(f'{{{k}}}' for k in known)}{suggestion(name, known)}",
            )


def _filled(template: str, names: Mapping[str, Any], row: Row | None) -> str:
    """Return a template with the names of one recording."""
    plain = {
        name: int(v) if isinstance(v, float) and v.is_integer() else v
        for name, v in names.items()
    }
    try:
        return template.format_map(plain)
    except KeyError as error:
        raise ValueError(
            f"{row}: column {error.args[0]} must be given, the target has it"
        ) from None
    except (TypeError, ValueError) as error:
        raise OptionError(
            "target", f"cannot be made: {error}, got {template!r}"
        ) from None


def _with_templates(
    options: Mapping[str, Any], names: Mapping[str, Any], row: Row | None
) -> Mapping[str, Any]:
    changed = {
        name: _filled(os.fspath(options[name]), names, row)
        for name in FURTHER_FILES
        if options.get(name) is not None
    }
    return {**options, **changed} if changed else options


def _without_clashes(jobs: list[Job]) -> dict[str, Job]:
    """Return the jobs by target; raise if two have one, or one is another's source."""
    found: dict[str, Job] = {}
    tables: dict[str, Job] = {}
    for job in jobs:
        files = [(job.target, found)]
        files += [
            (str(job.options[n]), tables) for n in FURTHER_FILES if job.options.get(n)
        ]
        for name, owners in files:
            key = identity(name)
            if (other := found.get(key) or tables.get(key)) is not None:
                raise OptionError(
                    "target",
                    f"must differ for each recording, got {name} for {other.source} "
                    f"and {job.source}; a template such as "
                    "'{parent}/{stem}' has more names",
                )
            owners[key] = job
    for job in jobs:
        other = found.get(identity(job.source))
        if other is not None and other is not job:
            raise OptionError(
                "target",
                f"must not be the source of another recording, got {job.source}",
            )
    return found

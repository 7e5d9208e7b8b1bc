"""What a batch will do: one job per recording, checked before the first file is written."""

import os
import string
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import attrs

from spikelab.batch.conversion import UNITS_TABLE, Job, format_of
from spikelab.batch.options import check_options, suggestion
from spikelab.batch.places import Places, StrPath, identity, resolved
from spikelab.batch.table import Row, checked_rows
from spikelab.errors import OptionError
from spikelab.registry import FORMATS, Format, named_by
from spikelab.storage.urls import is_url

_FIELDS = ("stem", "parent", "index")


def planned(
    sources: StrPath | Iterable[StrPath] | None,
    pattern: Job,
    table: Any,
    places: Places,
) -> dict[str, Job]:
    """Return the jobs of a batch by the identity of their targets, in order.

    `pattern` is what they have in common, with templates as names. What is raised stands
    in :func:`spikelab.convert_many`.
    """
    entry = FORMATS[pattern.to]
    check_options(entry, pattern.options)
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    found = [name for source in sources or () for name in places.matches(source)]
    fields = _fields_of(pattern)
    if table is None:
        rows = [Row(number, source) for number, source in enumerate(found, start=1)]
        if not rows:
            raise OptionError("sources", "must name at least one recording, got none")
    else:
        rows = checked_rows(table, entry, pattern.options, fields - {*_FIELDS})
        if found:
            by_source = {identity(row.source): row for row in rows}
            for source in found:
                if identity(source) not in by_source:
                    raise ValueError(
                        f"table must have a row for each source, none for {source}"
                    )
            wanted = set(map(identity, found))
            rows = [row for row in rows if identity(row.source) in wanted]
    known = [*_FIELDS, *sorted({name for row in rows for name in row.names})]
    for name in fields:
        if name not in known:
            raise OptionError(
                "target",
                f"has the unknown field {{{name}}}; fields are "
                f"{', '.join(f'{{{k}}}' for k in known)}, and {{{{ is a brace"
                f"{suggestion(name, known)}",
            )
    jobs = []
    for index, row in enumerate(rows):
        parent = _full(row.source).parent.name
        names = {"stem": stem_of(row.source), "parent": parent, "index": index}
        job = attrs.evolve(pattern, options={**pattern.options, **row.options})
        jobs.append(job.renamed(row.source, partial(_filled, names | row.names, row)))
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
    return entry, in_folder(text, "{stem}", entry)


def in_folder(folder: str, stem: str, entry: Format) -> str:
    """Return the name of a file of a format, or of a folder, in a folder."""
    suffix = entry.suffixes[0] if entry.suffixes else ""
    return f"{folder.rstrip('/' + os.sep) or folder[:1]}/{stem}{suffix}"


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


def _fields_of(pattern: Job) -> set[str]:
    """Return the names of the fields in all templates."""
    given = (pattern.options, pattern.source_options or {})
    tables = [options.get(UNITS_TABLE) for options in given]
    texts = [pattern.target, *(os.fspath(table) for table in tables if table)]
    try:
        parts = [part for text in texts for part in string.Formatter().parse(text)]
    except ValueError as error:
        raise OptionError(
            "target", f"must be a template: {error}, got {pattern.target!r}"
        ) from None
    return {name for _, name, _, _ in parts if name is not None}


def _filled(names: dict[str, Any], row: Row, template: str) -> str:
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


def _without_clashes(jobs: list[Job]) -> dict[str, Job]:
    """Return the jobs by target; raise if two have one, or one is another's source."""
    owners: dict[str, Job] = {}
    found = {}
    for job in jobs:
        keys = [identity(target) for target in job.targets]
        for key, target in zip(keys, job.targets, strict=True):
            if (other := owners.setdefault(key, job)) is not job or keys.count(key) > 1:
                raise OptionError(
                    "target",
                    f"must differ for each recording, got {target} for {other.source} "
                    f"and {job.source}; a template such as "
                    "'{parent}/{stem}' has more names",
                )
        found[keys[0]] = job
    for job in jobs:
        if owners.get(identity(job.source), job) is not job:
            raise OptionError(
                "target",
                f"must not be the source of another recording, got {job.source}",
            )
    return found

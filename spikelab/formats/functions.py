"""Export functions and loaders, made from writers and readers."""

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import attrs

from spikelab.errors import FormatError
from spikelab.formats.base import Writer
from spikelab.registry import recognised, refuse_foreign
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.urls import StrPath, expanded

P = ParamSpec("P")
R = TypeVar("R")

_COMMON = [field.name for field in attrs.fields(Writer)]
"""Options that all formats have; in signatures they stand after those of the format."""

_OBJECT = """sd : data object
    What to write."""

_FILE = """filepath : path or S3 URL
    The file; replaced if it exists."""

_FOLDER = """folder : path or S3 URL
    The folder; made if it is not there. Files of an earlier export are replaced,
    other files stay."""

_RAISES = """TypeError
    If `sd` is not a data object that this format can hold, or an option is of the
    wrong type.
ValueError
    If an option is wrong or missing, or the format cannot hold the data.
LossError, VerificationError
    See `strict` and `verify`.
OSError
    If the target cannot be written; an earlier export is then as it was."""


def export_function(
    writer: Callable[P, Writer[R, Any]],
    name: str,
    *,
    returns: str = "str\n    `filepath`.",
) -> Callable[Concatenate[DataObject, StrPath, P], R]:
    """Return the export function of a writer class, which is its attribute ``writer``.

    Options and docstring are those of the class; `returns` is what the docstring says
    under Returns.
    """
    cls: Any = writer

    # They differ in the name of the target only, which callers may use.
    def export_file(
        sd: DataObject, filepath: StrPath, *args: P.args, **options: P.kwargs
    ) -> R:
        return writer(*args, **options).write(sd, filepath)

    def export_folder(
        sd: DataObject, folder: StrPath, *args: P.args, **options: P.kwargs
    ) -> R:
        return writer(*args, **options).write(sd, folder)

    export: Any = export_folder if cls.is_folder else export_file
    export.__name__ = export.__qualname__ = name
    export.__module__, export.writer = cls.__module__, writer
    positional = list(inspect.signature(export).parameters.values())[:2]
    options = inspect.signature(cls).parameters
    own_first = sorted(options.values(), key=lambda p: p.name in _COMMON)
    result = inspect.signature(cls._written).return_annotation
    _set_signature(export, [*positional, *own_first], result)
    target = _FOLDER if cls.is_folder else _FILE
    entries = _entries([cls], [p.name for p in own_first])
    sections = {
        "Parameters": "\n".join([_OBJECT, target, *entries]),
        "Returns": returns,
        "Raises": _RAISES,
    }
    own = _sections(cls)
    text = own.pop("")
    for title, body in (sections | own | sections).items():
        text += f"\n\n{title}\n{'-' * len(title)}\n{body}"
    export.__doc__ = f"{text}\n"
    made: Callable[Concatenate[DataObject, StrPath, P], R] = export
    return made


def show_options(
    function: Callable[..., Any],
    options: Any,
    classes: Sequence[type],
    *,
    only_none: bool = False,
) -> None:
    """Show what a function takes as ``**options`` in its signature and its docstring.

    Names are those of the TypedDict `options`, which ``Unpack`` holds. Types, defaults and
    descriptions, which replace ``{options}`` in the docstring, are those of attrs classes;
    with `only_none` the default is None, but of options that all formats have. The
    function is changed, not wrapped, so that type checkers see it itself.
    """
    hints = get_type_hints(options)
    fields = {field.name: field for cls in classes for field in attrs.fields(cls)}
    names = sorted(hints, key=lambda name: name in _COMMON)
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[:-1]
    for name in names:
        default, hint = None, hints[name]
        if name in fields:
            default, hint = fields[name].default, fields[name].type
        if default is attrs.NOTHING or (only_none and name not in _COMMON):
            default, hint = None, hint | None
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(
            inspect.Parameter(name, kind, default=default, annotation=hint)
        )
    _set_signature(function, parameters, signature.return_annotation)
    # What a base class and a subclass both describe has the words of the base.
    bases_first = sorted(classes, key=lambda cls: len(cls.__mro__))
    text = "\n".join(_entries(bases_first, names))
    function.__doc__ = (inspect.getdoc(function) or "").replace("{options}", text)


def _set_signature(
    function: Any, parameters: list[inspect.Parameter], returned: Any
) -> None:
    """Give a function a signature, and the annotations that belong to it."""
    shown = inspect.Signature(parameters, return_annotation=returned)
    function.__signature__ = shown
    hints = {p.name: p.annotation for p in parameters}
    function.__annotations__ = {**hints, "return": returned}


def _entries(classes: Iterable[type], names: Sequence[str]) -> list[str]:
    """Return the entries of options in docstrings of classes, each in its first words.

    An entry may describe several options: ``a, b : str``.
    """
    found: dict[str, str] = {}
    for cls in (base for made in classes for base in made.__mro__):
        own_names = {f.alias: f.name for f in getattr(cls, "__attrs_attrs__", ())}
        for entry in re.split(r"\n(?=\S)", _sections(cls).get("Parameters", "")):
            heads, _, description = entry.partition(" : ")
            described = [own_names.get(name, name) for name in heads.split(", ")]
            new = [name for name in described if name in names and name not in found]
            for name in new:
                found[name] = f"{', '.join(new)} : {description}"
    return list(dict.fromkeys(found[name] for name in names if name in found))


def _sections(cls: type) -> dict[str, str]:
    """Return the sections of a numpydoc docstring by title; "" is what comes first."""
    parts = re.split(r"(?m)^(\w[\w ]*)\n-+\n", inspect.getdoc(cls) or "")
    titles = ["", *parts[1::2]]
    return {t: text.strip() for t, text in zip(titles, parts[::2], strict=True)}


def spikedata_loader(
    read: Callable[P, DataObject], name: str
) -> Callable[P, SpikeData]:
    """Return a loader with the signature of `read` that takes recordings only.

    The loader raises FormatError for a file that holds another data object. Its error
    for a file or folder of another format ends with the name of that format.
    """
    signature = inspect.signature(read)

    @functools.wraps(read)
    def loader(*args: P.args, **options: P.kwargs) -> SpikeData:
        given = bound(name, read, *args, **options)
        path = next(iter(given.arguments.values()))
        try:
            found = read(*args, **options)
        except (FormatError, IsADirectoryError, NotADirectoryError) as error:
            other = _other_format(path, read)
            if other is not None and repr(other) not in str(error):
                error.args = (f"{error}; its format is {other!r}",)
            raise
        if not isinstance(found, SpikeData):
            raise FormatError(
                f"{path} must hold a SpikeData for {name}, "
                f"got a {type(found).__name__}; spikelab.load takes any"
            )
        return found

    made: Any = loader
    made.__name__ = made.__qualname__ = name
    _set_signature(made, list(signature.parameters.values()), SpikeData)
    return loader


def bound(
    what: str, read: Callable[..., Any], /, *args: Any, **options: Any
) -> inspect.BoundArguments:
    """Return the arguments of a call; a TypeError for wrong ones begins with `what`."""
    try:
        return inspect.signature(read).bind(*args, **options)
    except TypeError as error:
        raise TypeError(f"{what}: {error}") from None


def _other_format(path: Any, read: Callable[..., DataObject]) -> str | None:
    """Return the format of a local path, None if it is unknown or the one of `read`."""
    if not isinstance(path, str | os.PathLike):
        return None
    local = Path(expanded(path))
    try:
        entry = recognised(local)
    except (OSError, ValueError):
        refuse_foreign(local)
        return None
    return None if entry.read is read else entry.name

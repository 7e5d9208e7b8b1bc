"""Export functions and loaders, made from writers and readers."""

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import attrs

from spikelab.errors import FormatError
from spikelab.formats.base import StrPath, Writer
from spikelab.registry import recognised, refuse_zarr
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData

P = ParamSpec("P")
R = TypeVar("R")

_COMMON = ("verify", "strict", "storage_options", "progress", "overwrite")
"""Options that all formats have; in signatures they stand after those of the format."""

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
    """Return the export function of a writer, with the options of the writer.

    Parameters
    ----------
    writer : type
        The writer class. Signature and docstring of the function are made from it, so
        that options are spelled once.
    name : str
        Name of the function.
    returns : str
        What its docstring says under Returns.

    Returns
    -------
    function
        Its attribute ``writer`` is the writer class.
    """
    cls: Any = writer
    export: Any

    def export_file(
        sd: DataObject, filepath: StrPath, *args: P.args, **options: P.kwargs
    ) -> R:
        return writer(*args, **options).write(sd, filepath)

    def export_folder(
        sd: DataObject, folder: StrPath, *args: P.args, **options: P.kwargs
    ) -> R:
        return writer(*args, **options).write(sd, folder)

    export = export_folder if cls.is_folder else export_file
    export.__name__ = export.__qualname__ = name
    export.__module__ = cls.__module__
    export.__doc__ = _document(cls, returns)
    _sign(export, cls)
    export.writer = writer
    made: Callable[Concatenate[DataObject, StrPath, P], R] = export
    return made


def _sign(export: Any, writer: type[Writer[Any, Any]]) -> None:
    """Give a function the options of a writer: its own before those of all writers."""
    options = sorted(
        inspect.signature(writer).parameters.values(), key=lambda p: p.name in _COMMON
    )
    first = list(inspect.signature(export).parameters.values())[:2]
    result = inspect.signature(writer._written).return_annotation
    export.__signature__ = inspect.Signature(
        [*first, *options], return_annotation=result
    )
    hints = {p.name: p.annotation for p in (*first, *options)}
    export.__annotations__ = {**hints, "return": result}


def _document(writer: type[Writer[Any, Any]], returns: str) -> str:
    """Return the docstring of an export function, made from those of its writer."""
    texts = [_sections(cls) for cls in writer.__mro__ if "__attrs_attrs__" in vars(cls)]
    own = dict(texts[0])
    options: dict[str, str] = {}
    for text in texts:
        for option in re.split(r"\n(?=\S)", text.get("Parameters", "")):
            # What the writer says of an option comes before what its base says.
            options.setdefault(option.partition(" : ")[0], option)
    target = _FOLDER if writer.is_folder else _FILE
    first = ["sd : data object\n    What to write.", target]
    summary = own.pop("")
    own.pop("Parameters", None)
    sections = {
        "Parameters": "\n".join([*first, *filter(None, options.values())]),
        "Returns": returns,
        "Raises": _RAISES,
        **own,
    }
    parts = [f"{name}\n{'-' * len(name)}\n{text}" for name, text in sections.items()]
    return "\n\n".join([summary, *parts]) + "\n"


def _sections(cls: type) -> dict[str, str]:
    """Return the sections of a numpydoc docstring by title; "" is what comes first."""
    parts = re.split(r"(?m)^(\w[\w ]*)\n-+\n", inspect.getdoc(cls) or "")
    titles = ["", *parts[1::2]]
    return {t: text.strip() for t, text in zip(titles, parts[::2], strict=True)}


def show_options(
    function: Callable[..., Any],
    options: Any,
    writers: Sequence[type],
    *,
    only_none: bool = False,
) -> None:
    """Show what a function takes as ``**options`` in its signature and its docstring.

    It is no decorator, so that type checkers see the function itself.

    Parameters
    ----------
    function : callable
        Its last parameter is ``**options: Unpack[...]``.
    options : type
        The TypedDict that ``Unpack`` holds; it says names and order.
    writers : sequence of type
        attrs classes, such as writers, that have these options: types, defaults, and
        descriptions, which replace ``{options}`` in the docstring of the function, are
        theirs.
    only_none : bool
        Let the default of each option be None, but of those that all functions have.
    """
    names = sorted(options.__annotations__, key=_COMMON.__contains__)
    fields = {
        f.name: f for cls in writers for f in attrs.fields(cls) if f.name in names
    }
    hints = get_type_hints(options)
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[:-1]
    for name in names:
        default, hint = None, hints[name]
        if name in fields:
            default, hint = fields[name].default, fields[name].type
        is_none = only_none and name not in _COMMON
        if is_none or default is attrs.NOTHING:
            default, hint = None, hint | None
        kind = inspect.Parameter.KEYWORD_ONLY
        shown = inspect.Parameter(name, kind, default=default, annotation=hint)
        parameters.append(shown)
    shows: Any = function
    shows.__signature__ = signature.replace(parameters=parameters)
    shows.__annotations__ = {
        **{p.name: p.annotation for p in parameters},
        "return": signature.return_annotation,
    }
    text = "\n".join(_described(writers, fields))
    shows.__doc__ = (inspect.getdoc(function) or "").replace("{options}", text)


def _described(writers: Iterable[type], fields: Mapping[str, Any]) -> Iterable[str]:
    """Return the descriptions of fields, each once, the one of the simplest class."""
    found = {}
    aliases = {field.alias: name for name, field in fields.items()}
    classes = dict.fromkeys(c for w in writers for c in w.__mro__)
    for cls in sorted(classes, key=lambda c: -len(c.__mro__)):
        for block in re.split(r"\n(?=\S)", _sections(cls).get("Parameters", "")):
            names, _, rest = block.partition(" : ")
            known = [aliases[name] for name in names.split(", ") if name in aliases]
            if known:
                found[names] = f"{', '.join(known)} : {rest}"
    return found.values()


def spikedata_loader(
    read: Callable[P, DataObject], name: str
) -> Callable[P, SpikeData]:
    """Return a loader with the signature of `read` that takes recordings only.

    The loader raises FormatError for a file that holds another data object. What it says
    of a file or folder of another format ends with the name of that format.
    """
    signature = inspect.signature(read)

    @functools.wraps(read)
    def loader(*args: P.args, **options: P.kwargs) -> SpikeData:
        try:
            given = signature.bind(*args, **options)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
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
    made.__annotations__ = {**read.__annotations__, "return": SpikeData}
    made.__signature__ = signature.replace(return_annotation=SpikeData)
    return loader


def _other_format(path: Any, read: Callable[..., DataObject]) -> str | None:
    """Return the format of a local path, None if it is unknown or the one of `read`."""
    if not isinstance(path, str | os.PathLike):
        return None
    local = Path(os.path.expanduser(path))  # noqa: PTH111 # "~nobody"
    try:
        entry = recognised(local)
    except (OSError, ValueError):
        refuse_zarr(local)
        return None
    return None if entry.read is read else entry.name

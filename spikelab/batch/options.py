"""The options of the formats: names, types and texts, from the export functions."""

import difflib
import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from spikelab import validate
from spikelab.errors import OptionError, collected_warnings
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.registry import FORMATS, Format
from spikelab.storage.urls import expanded

PRIVATE = ("s3_upload", "aws_", "region_name")
"""How options begin that a URL and the environment make superfluous."""

_TYPICAL_HZ = 30_000.0
"""Stands for the sampling rate of a source that was not loaded yet."""

_FACTORS = {
    "Hz": {"kHz": 1000.0, "Hz": 1.0},
    "ms": {"ms": 1.0, "s": 1000.0},
}
"""The units that a number may have, by the end of the option's name."""

_KINDS: dict[Any, Any] = {
    bool: bool,
    int: int,
    float: float,
    Mapping: dict,
    Sequence: list,
    NWBSession: NWBSession,
    NWBSubject: NWBSubject,
}
"""As what the values of a type are written; of other types as str."""


@attrs.frozen
class Option:
    """An option of an export function."""

    name: str
    kind: Any  # bool, int, float, str, list (of int), dict, or a class (a JSON file)
    required: bool
    text: str  # the first sentence of its documentation, and its choices

    def parsed(self, text: str) -> Any:
        """Return the value that a text means; raise ValueError if it means none."""
        if self.kind is bool:
            if text.strip().lower() in ("true", "yes", "on", "1"):
                return True
            if text.strip().lower() in ("false", "no", "off", "0"):
                return False
            raise ValueError(f"must be true or false, got {text!r}")
        if self.kind is list:
            return [int(part) for part in re.split(r"[\s,;]+", text.strip())]
        if self.kind is float:
            return _number(text, _FACTORS.get(self.name[-2:], {}))
        if self.kind is dict:
            return json_object(text)
        if self.kind in (NWBSession, NWBSubject):
            return self.kind(**json_object(Path(expanded(text)).read_bytes()))
        return self.kind(text)


def _number(text: str, factors: Mapping[str, float]) -> float:
    """Return a number, which may be followed by one of the units of `factors`."""
    number = text.strip()
    try:
        for unit, factor in factors.items():
            if number.endswith(unit):
                return float(number.removesuffix(unit)) * factor
        return float(number)
    except ValueError:
        raise ValueError(f"invalid float value: {text!r}") from None


@functools.cache
def options_of(entry: Format) -> dict[str, Option]:
    """Return the options of a format by name: those of its export function."""
    hints = typing.get_type_hints(entry.export)
    texts = _first_sentences(inspect.getdoc(entry.export) or "")
    options = {
        name: Option(name, _kind(hints[name]), p.default is p.empty, texts[name])
        for name, p in inspect.signature(entry.export).parameters.items()
        if p.kind is p.KEYWORD_ONLY and not name.startswith(PRIVATE)
    }
    if entry.name == "nwb":
        text = "Add the units to the file that is there"
        options["append"] = Option("append", bool, False, text)
    return options


def _first_sentences(docstring: str) -> dict[str, str]:
    """Return the first sentence about each parameter, with the choices of its type.

    An entry of a numpydoc docstring is one line, ``a, b : type``, and indented text.
    """
    found = {}
    entry = re.compile(r"^(\w[\w, ]*) : (.*)\n((?:    .*\n)+)", re.MULTILINE)
    for names, type_text, text in entry.findall(f"{docstring}\n"):
        sentence = " ".join(text.split()).split(". ")[0].removesuffix(".")
        # Of :class:`~spikelab.formats.NWBSession`, its name is shown.
        sentence = re.sub(r":\w+:`(?:~[\w.]*\.)?([^`]+)`", r"\1", sentence)
        sentence = sentence.replace("`", "")
        if choices := re.findall(r'"([^"]+)"', type_text):
            sentence += f": {', '.join(choices)}"
        for name in names.split(", "):
            found[name] = sentence
    return found


def _kind(hint: Any) -> Any:
    """Return as what a value of a type is written, the first that fits of a union."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    for choice in typing.get_args(hint) if is_union else (hint,):
        cls = typing.get_origin(choice) or choice
        if inspect.isclass(cls) and cls is not str:
            for known, kind in _KINDS.items():
                if issubclass(cls, known):
                    return kind
    return str


def check_options(entry: Format, options: Mapping[str, Any]) -> None:
    """Raise for options that a format does not have, lacks or refuses.

    That the sampling rate is missing is not an error: the source may know it.
    """
    known = options_of(entry)
    for name in options:
        if name in known or name.startswith(PRIVATE):
            continue
        owners = [f.name for f in FORMATS.values() if name in options_of(f)]
        hint = f", but of {', '.join(owners)}" if owners else suggestion(name, known)
        raise OptionError(name, f"is no option of {entry.name}{hint}")
    for name, option in known.items():
        if option.required and name not in options and name != "fs_Hz":
            raise OptionError(name, f"must be given for {entry.name}")
    others = {name: value for name, value in options.items() if name != "append"}
    if validate.flag("append", options.get("append", False)):
        for name in others:
            if name not in ("verify", "progress"):
                raise OptionError(name, "has no effect together with append")
    rate = {"fs_Hz": _TYPICAL_HZ} if "fs_Hz" in known else {}
    with collected_warnings(shown=False):  # the export gives them again
        entry.export.writer(**{**rate, **others})


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ", did you mean ...?" if a known name resembles `name`, else nothing."""
    lower = {text.lower(): text for text in known}
    found = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.7)
    return f", did you mean {lower[found[0]]}?" if found else ""


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the dictionary that a JSON text means; raise ValueError if it is none."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}, got {text!r:.80}") from None
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object, got {text!r:.80}")
    return value

"""The header of an NWB file: session, subject and time 0, from metadata and back."""

import contextlib
import hashlib
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import attrs
import h5py
import numpy as np

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.session import NWBSession, NWBSubject, iso_time
from spikelab.spikedata.cutting import TIME_ZERO
from spikelab.spikedata.differences import NOT_LOST, equal

_PLACEHOLDER = "1970-01-01T00:00:00+00:00"
"""Written as the start of a session of which the start is not known."""

_PLACEHOLDER_DESCRIPTION = (
    "Exported by spikelab without a description of the session. The session start "
    "time 1970-01-01T00:00:00+00:00 is a placeholder, the true one is not known."
)

_PLACEHOLDERS = (_PLACEHOLDER, _PLACEHOLDER_DESCRIPTION)

_REFERENCE = "timestamps_reference_time"
"""What all times in a file count from."""

_AT_ROOT = {"identifier", "session_description", "session_start_time", _REFERENCE}
"""What of the session stands at the root; all else is in ``general``."""

_NOT_CARRIED = ("identifier", "electrode_location")
"""Fields of a session that are not read: another file has another identifier."""

_LISTS = ("experimenter", "keywords", "related_publications")
"""Fields of a session that hold several texts."""

_PROGRAMS = ("source_script", "was_generated_by")
"""Members of ``general`` that say which program wrote a file, and are not read."""

_BLOCK = 2**20
"""Bytes of a file that are checked at a time, in several threads."""

_NAMESPACE = UUID("6f1f1c0e-3b0a-5d5c-9a53-0d6f6f3c2c11")
"""Makes the identifiers of files differ from other hashes of the same text."""


@attrs.frozen(eq=False)
class Header:
    """What the header of a file says beside its data."""

    session: dict[str, Any]  # fields of an NWBSession, times as ISO 8601 text
    subject: dict[str, Any]  # fields of an NWBSubject
    fs_Hz: float | None = None  # sampling rate
    time_zero_ms: float = 0.0  # where time 0 lies, from the start of the session
    waveform_unit: str | None = None  # of the mean waveforms
    refused: list[str] = attrs.field(factory=list)  # what is left out, and why

    def metadata(self) -> dict[str, Any]:
        """Return what a reader puts into the metadata of a recording."""
        known = {
            name: value
            for name, value in self.session.items()
            if name not in _NOT_CARRIED and value not in _PLACEHOLDERS
        }
        found = {NWBSession.KEY: known, NWBSubject.KEY: self.subject, **self._at_root()}
        return {key: value for key, value in found.items() if value}

    def _at_root(self) -> dict[str, Any]:
        """Return the metadata that are attributes of the root in our files."""
        return {
            "fs_Hz": self.fs_Hz,
            TIME_ZERO: self.time_zero_ms,
            "waveform_unit": self.waveform_unit,
        }

    def losses(self, metadata: Mapping[Any, Any]) -> Iterator[str]:
        """Yield in words which of the metadata of an object do not come back."""
        back = self.metadata()
        lost = [key for key in metadata if key not in back and key not in NOT_LOST]
        if lost:
            yield f"metadata (NWB has no place for {', '.join(map(repr, lost))})"
        for key, value in back.items():
            if key in metadata and not equal(metadata[key], value):
                yield f"metadata[{key!r}] (the file says {value!r:.80})"

    def write(self, file: h5py.File) -> None:
        """Write what an NWB file holds before any data."""
        schema.typed(file, "NWBFile", nwb_version=schema.VERSION)
        for name in schema.GROUPS:
            file.create_group(name)
        start = self.session.get("session_start_time", _PLACEHOLDER)
        later = timedelta(milliseconds=self.time_zero_ms)
        known = {
            "session_description": _PLACEHOLDER_DESCRIPTION,
            "session_start_time": start,
            **self.session,
            _REFERENCE: iso_time(datetime.fromisoformat(start) + later),
        }
        known.pop("electrode_location", None)
        for name, value in known.items():
            group = file if name in _AT_ROOT else file["general"]
            if isinstance(value, list):
                value = np.array(value, dtype=schema.TEXT)
            group[name] = value
        if self.subject:
            subject = schema.typed(file.create_group("general/subject"), "Subject")
            for name, value in self.subject.items():
                subject[name] = value
        file.attrs.update({n: value for n, value in self._at_root().items() if value})

    def finish(self, file: h5py.File, path: Path) -> None:
        """Write what differs from file to file: its identifier and the creation date.

        The identifier is a checksum of the file, unless the session has one.
        """
        if "identifier" not in file:
            file.flush()
            digest, starts = hashlib.sha256(), range(0, path.stat().st_size, _BLOCK)
            with ThreadPoolExecutor() as pool:
                # A third of the cost of a cryptographic hash of all.
                for checksum in pool.map(partial(_checksum, path), starts):
                    digest.update(checksum.to_bytes(4, "big"))
            file["identifier"] = str(uuid5(_NAMESPACE, digest.hexdigest()))
        now, given = datetime.now(UTC), os.environ.get("SOURCE_DATE_EPOCH")
        if given:  # as reproducible builds have it
            now = datetime.fromtimestamp(int(given), UTC)
        file["file_create_date"] = np.array([now.isoformat()], dtype=schema.TEXT)


def _checksum(path: Path, start: int) -> int:
    """Return the CRC-32 of a block of a file."""
    with path.open("rb") as written:
        written.seek(start)
        return zlib.crc32(written.read(_BLOCK))


def header_of(
    metadata: Mapping[Any, Any],
    session: NWBSession | None = None,
    subject: NWBSubject | None = None,
    fs_Hz: float | None = None,
) -> Header:
    """Return the header of a new file: what is given, or else what metadata hold."""
    refused: list[str] = []
    if session is None:
        about, refused = NWBSession.valid_fields(metadata.get(NWBSession.KEY, {}))
        about.pop("identifier", None)
    else:
        about = session.fields()
    if subject is None:
        animal, wrong = NWBSubject.valid_fields(metadata.get(NWBSubject.KEY, {}))
        refused += wrong
    else:
        animal = subject.fields()
    start = about.get("session_start_time")
    born = animal.get("date_of_birth")
    if born and start and datetime.fromisoformat(born) > datetime.fromisoformat(start):
        refused.append(f"date_of_birth must not be after {start}, got {born}")
        del animal["date_of_birth"]
    rate = _number(metadata.get("fs_Hz")) if fs_Hz is None else float(fs_Hz)
    unit = metadata.get("waveform_unit")
    return Header(
        session=about,
        subject=animal,
        fs_Hz=rate if rate and rate > 0 else None,
        time_zero_ms=_number(metadata.get(TIME_ZERO)) or 0.0,
        waveform_unit=unit if isinstance(unit, str) and h5.is_text(unit) else None,
        refused=refused,
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float | np.number) and value is not True
    return float(value) if is_number and math.isfinite(value) else None


def read_header(file: h5py.File, notes: Mapping[str, Any]) -> Header:
    """Return what the header of a file says.

    `notes` are the attributes of its root, if spikelab wrote it. A warning names the
    fields of session or subject that our classes refuse; they are left out.
    """
    of_session = {field.name for field in attrs.fields(NWBSession)}
    of_subject = {field.name for field in attrs.fields(NWBSubject)}
    unread: list[str] = []
    known = _facts(file, "/", _AT_ROOT, unread)
    known |= _facts(file, "general", of_session, unread)
    animal = _facts(file, "general/subject", of_subject, unread)
    reference, zero = known.pop(_REFERENCE, ""), 0.0
    if reference != _PLACEHOLDER:  # beside a start that was put in its place since
        with contextlib.suppress(TypeError, ValueError):
            start = datetime.fromisoformat(known.get("session_start_time", ""))
            moved = datetime.fromisoformat(reference) - start
            zero = moved / timedelta(milliseconds=1)
    for name in (*_NOT_CARRIED, *_PROGRAMS):
        known.pop(name, None)
    session, refused = NWBSession.valid_fields(known)
    subject, wrong = NWBSubject.valid_fields(animal)
    if left_out := [*refused, *wrong, *unread]:
        warn(f"session and subject are read without: {'; '.join(left_out)}")
    return Header(
        session=session,
        subject=subject,
        fs_Hz=_number(notes.get("fs_Hz")),
        time_zero_ms=_number(notes.get(TIME_ZERO, zero)) or 0.0,
        waveform_unit=notes.get("waveform_unit"),
    )


def _facts(
    file: h5py.File, place: str, fields: set[str], unread: list[str]
) -> dict[str, Any]:
    """Return the values in a group by name; of the root, which holds all else, `fields`.

    Why one of the `fields` cannot be read is added to `unread`.
    """
    if not h5.has_member(file, place):
        return {}
    group = h5.member(file, place)
    found = {}
    for name in sorted(group):
        if place == "/" and name not in fields:
            continue
        try:
            value = _fact(group, name)
        except FormatError as error:
            if name in fields:
                unread.append(str(error))
            continue
        if value is not None:
            found[name] = value
    return found


def _fact(group: h5py.Group, name: str) -> Any:
    """Return a number, a str, or a list of them; None for anything else, or blank."""
    data = h5.member(group, name)
    if not isinstance(data, h5py.Dataset) or data.shape is None:
        return None
    h5.check_size(data, repr(name))
    if h5py.check_string_dtype(data.dtype) is not None:
        value = h5.texts(data).tolist()
    elif data.dtype.kind in "biuf":
        value = data[()].tolist()
    else:
        return None  # references, say
    origin = h5.scalar_attributes(data).get("reference", "birth")
    if name == "age" and origin != "birth":
        raise FormatError(f"age, which counts from {origin!r}")
    if value == [] or (isinstance(value, str) and not value.strip()):
        return None
    # Other programs hold one text as a list, or a list of one as a text.
    if name in _LISTS:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    return value

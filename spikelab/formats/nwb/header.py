"""The header of an NWB file: session, subject and time 0, from metadata and back."""

import contextlib
import hashlib
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import attrs
import h5py
import numpy as np

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.losses import Loss
from spikelab.formats.nwb.session import NWBSession, NWBSubject, iso_time
from spikelab.spikedata.cutting import TIME_ZERO
from spikelab.spikedata.differences import LOADER_KEYS, NOT_LOST, equal
from spikelab.spikedata.unit_table import MISSING

_PLACEHOLDER = "1970-01-01T00:00:00+00:00"
"""Written as the start of a session of which the start is not known."""

_PLACEHOLDER_DESCRIPTION = (
    "Exported by spikelab without a description of the session. The session start "
    "time 1970-01-01T00:00:00+00:00 is a placeholder, the true one is not known."
)

_REFERENCE = "timestamps_reference_time"
"""What all times in a file count from."""

_NOT_CARRIED = ("identifier", "electrode_location")
"""Fields of a session that are not read: another file has another identifier."""

_LISTS = ("experimenter", "keywords", "related_publications")
"""Fields of a session that hold several texts."""

_PROGRAMS = ("source_script", "was_generated_by")
"""Members of ``general`` that say which program wrote a file, and are not read."""

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
        known = {n: v for n, v in self.session.items() if n not in _NOT_CARRIED}
        found = {NWBSession.KEY: known, NWBSubject.KEY: self.subject, **self._at_root()}
        return {key: value for key, value in found.items() if value}

    def _at_root(self) -> dict[str, Any]:
        """Return the metadata that are attributes of the root in our files."""
        return {
            "fs_Hz": self.fs_Hz,
            TIME_ZERO: self.time_zero_ms,
            "waveform_unit": self.waveform_unit,
        }

    def losses(self, metadata: Mapping[Any, Any]) -> Iterator[Loss]:
        """Yield which of the metadata of an object do not come back, or are added."""
        back = self.metadata()
        lost = [key for key in metadata if key not in {*back, *LOADER_KEYS}]
        named = [key for key in lost if key not in NOT_LOST]
        text = f"metadata (NWB has no place for {', '.join(map(repr, named))})"
        for key in lost:
            yield Loss(("metadata", key), text if named[:1] == [key] else "")
        for key, value in back.items():
            given = metadata.get(key, MISSING)
            if not equal(given, value):
                text = f"metadata[{key!r}] (the file says {value!r:.80})"
                yield Loss(("metadata", key), text if given is not MISSING else "")

    def write(self, file: h5py.File) -> None:
        """Write what an NWB file holds before any data."""
        schema.typed(file, "NWBFile", nwb_version=schema.VERSION)
        for name in schema.GROUPS:
            file.create_group(name)
        start = self.session.get("session_start_time", _PLACEHOLDER)
        root = {
            "session_description": _PLACEHOLDER_DESCRIPTION,
            "session_start_time": start,
            **self.session,
            _REFERENCE: _later(start, self.time_zero_ms) or start,
        }
        root.pop("electrode_location", None)
        for name, value in root.items():
            # The text on the stimulus shares its name with a group of the root.
            at_root = name in schema.MEMBERS and name not in file
            place = file if at_root else file["general"]
            is_text = isinstance(value, str)
            place[name] = value if is_text else np.array(value, dtype=schema.TEXT)
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
            digest = hashlib.sha256()
            with path.open("rb") as written:
                while block := written.read(2**20):
                    # A third of the cost of a cryptographic hash of all.
                    digest.update(zlib.crc32(block).to_bytes(4, "big"))
            file["identifier"] = str(uuid5(_NAMESPACE, digest.hexdigest()))
        now, given = datetime.now(UTC), os.environ.get("SOURCE_DATE_EPOCH")
        if given:  # as reproducible builds have it
            try:
                now = datetime.fromtimestamp(int(given), UTC)
            except (ValueError, OverflowError, OSError) as error:
                raise ValueError(
                    "SOURCE_DATE_EPOCH must be a number of seconds since 1970, "
                    f"got {given!r}"
                ) from error
        file["file_create_date"] = np.array([now.isoformat()], dtype=schema.TEXT)


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
    zero = _number(metadata.get(TIME_ZERO)) or 0.0
    rate = _number(metadata.get("fs_Hz")) if fs_Hz is None else float(fs_Hz)
    unit = metadata.get("waveform_unit")
    return Header(
        session=about,
        subject=animal,
        fs_Hz=rate if rate and rate > 0 else None,
        time_zero_ms=zero if _later(start or _PLACEHOLDER, zero) else 0.0,
        waveform_unit=unit if isinstance(unit, str) and h5.is_text(unit) else None,
        refused=refused,
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float | np.number) and value is not True
    return float(value) if is_number and math.isfinite(value) else None


def _later(start: str, milliseconds: float) -> str | None:
    """Return a time moved by milliseconds, None if there is no such year."""
    try:
        moved = datetime.fromisoformat(start) + timedelta(milliseconds=milliseconds)
        return iso_time(moved)
    except (OverflowError, ValueError):
        return None


def read_header(file: h5py.File, notes: Mapping[str, Any]) -> Header:
    """Return what the header of a file says.

    `notes` are the attributes of its root, if spikelab wrote it. A warning names the
    fields of session or subject that our classes refuse; they are left out.
    """
    of_session = {f.name for f in attrs.fields(NWBSession)}
    known, unread = _texts(file, "/", of_session & schema.MEMBERS | {_REFERENCE})
    general, in_general = _texts(file, "general", of_session)
    animal, in_subject = _texts(
        file, "general/subject", {f.name for f in attrs.fields(NWBSubject)}
    )
    reference, zero = known.pop(_REFERENCE, ""), 0.0
    if reference != _PLACEHOLDER:  # beside a start that was put in its place since
        with contextlib.suppress(TypeError, ValueError):
            start = datetime.fromisoformat(known.get("session_start_time", ""))
            moved = datetime.fromisoformat(reference) - start
            zero = moved / timedelta(milliseconds=1)
    known |= general
    for name in (*_NOT_CARRIED, *_PROGRAMS):
        known.pop(name, None)
    session, refused = NWBSession.valid_fields(known)
    subject, wrong = NWBSubject.valid_fields(animal)
    if left_out := [*refused, *wrong, *unread, *in_general, *in_subject]:
        warn(f"session and subject are read without: {'; '.join(left_out)}")
    if session.get("session_start_time") == _PLACEHOLDER:
        del session["session_start_time"]
    if session.get("session_description") == _PLACEHOLDER_DESCRIPTION:
        del session["session_description"]
    return Header(
        session=session,
        subject=subject,
        fs_Hz=_number(notes.get("fs_Hz")),
        time_zero_ms=_number(notes.get(TIME_ZERO, zero)) or 0.0,
        waveform_unit=notes.get("waveform_unit"),
    )


def _texts(
    file: h5py.File, place: str, names: set[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the datasets of a group that are not blank; of the root, only the `names`.

    Beside them, why some of the `names` are not read, such as links that cannot be
    followed.
    """
    group = h5.member(file, place) if h5.has_member(file, place) else {}
    found: dict[str, Any] = {}
    unread: list[str] = []
    for name in sorted(schema.names_in(group)):
        if place == "/" and name not in names:
            continue
        try:
            data = h5.member(group, name)
            if not isinstance(data, h5py.Dataset) or data.shape is None:
                continue
            h5.check_size(data, repr(name))
        except FormatError as error:
            unread += [str(error)] * (name in names)
            continue
        is_text = h5py.check_string_dtype(data.dtype) is not None
        if not is_text and data.dtype.kind not in "biuf":
            continue  # references, say
        value = (h5.texts(data) if is_text else data[()]).tolist()
        # Other programs hold one text as a list, or a list of one as a text.
        if isinstance(value, list) and len(value) == 1 and name not in _LISTS:
            value = value[0]
        elif isinstance(value, str) and value.strip() and name in _LISTS:
            value = [value]
        origin = h5.scalar_attributes(data).get("reference", "birth")
        if name == "age" and origin != "birth":
            unread.append(f"age, which counts from {origin!r}")
        elif value and not (isinstance(value, str) and not value.strip()):
            found[name] = value
    return found, unread

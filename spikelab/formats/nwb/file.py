"""What every NWB file holds around its data."""

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import attrs
import h5py

from spikelab.formats.nwb import tables as nwb_tables
from spikelab.formats.nwb.session import NWBSession, NWBSubject

NWB_VERSION = "2.7.0"
"""The schema that the files follow; every reader since pynwb 2.8 knows it."""

PLACEHOLDER_START = datetime(1970, 1, 1, tzinfo=UTC)
"""Written as the start of a session of which the start is not known."""

PLACEHOLDER_DESCRIPTION = (
    "Exported by spikelab without a description of the session. The session start "
    "time 1970-01-01T00:00:00+00:00 is a placeholder, the true one is not known."
)

_NAMESPACE = UUID("6f1f1c0e-3b0a-5d5c-9a53-0d6f6f3c2c11")
"""Makes the identifiers of files differ from other hashes of the same text."""

GROUPS = (
    "acquisition",
    "analysis",
    "general",
    "processing",
    "stimulus/presentation",
    "stimulus/templates",
)

MEMBERS = frozenset(
    {group.split("/")[0] for group in GROUPS}
    | {
        "file_create_date",
        "identifier",
        "intervals",
        "scratch",
        "session_description",
        "session_start_time",
        "specifications",
        "timestamps_reference_time",
    }
)
"""Names at the root of a file that mean something else than the units."""

_GENERAL = (
    "session_id",
    "experimenter",
    "lab",
    "institution",
    "experiment_description",
    "keywords",
    "related_publications",
    "notes",
    "pharmacology",
    "protocol",
    "surgery",
    "virus",
    "data_collection",
    "stimulus",
)

_SUBJECT = (
    "subject_id",
    "species",
    "sex",
    "age",
    "date_of_birth",
    "strain",
    "genotype",
    "weight",
    "description",
)


def identifier(content: str) -> str:
    """Return the identifier of a file with this content."""
    return str(uuid5(_NAMESPACE, content))


def described(known: NWBSession | NWBSubject | None) -> str:
    """Return a text that is the same for the same session or subject."""
    if known is None:
        return ""
    fields = attrs.asdict(known)
    # The text of a time zone may hold an address in memory, this one does not.
    times = {k: v.isoformat() for k, v in fields.items() if isinstance(v, datetime)}
    return repr({**fields, **times})


def creation_time() -> datetime:
    """Return the time to write as that of the file's creation.

    ``SOURCE_DATE_EPOCH``, the convention of reproducible builds, goes before
    the clock.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(given), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(
            f"SOURCE_DATE_EPOCH must be a number of seconds since 1970, got {given!r}"
        ) from error


def start(
    file: h5py.File,
    identifier: str,
    session: NWBSession | None,
    subject: NWBSubject | None,
) -> None:
    """Write what an NWB file holds before any data."""
    nwb_tables.typed(file, "NWBFile", nwb_version=NWB_VERSION)
    for name in GROUPS:
        file.create_group(name)
    began = session.session_start_time if session else PLACEHOLDER_START
    file["identifier"] = identifier
    file["session_description"] = (
        session.session_description if session else PLACEHOLDER_DESCRIPTION
    )
    file["session_start_time"] = began.isoformat()
    file["timestamps_reference_time"] = began.isoformat()
    file["file_create_date"] = nwb_tables.texts([creation_time().isoformat()])
    _write_known(file["general"], _GENERAL, session)
    if subject is not None:
        group = nwb_tables.typed(file.create_group("general/subject"), "Subject")
        _write_known(group, _SUBJECT, subject)


def _write_known(group: h5py.Group, names: tuple[str, ...], source: Any) -> None:
    for name in names:
        value = getattr(source, name, None)
        if isinstance(value, datetime):
            value = value.isoformat()
        if isinstance(value, tuple):
            value = nwb_tables.texts(value)
        if value is not None:
            group[name] = value

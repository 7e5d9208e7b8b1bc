"""Folders that SpikeInterface saved: sortings, analyzers, and those of its sorters."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikelab import registry
from spikelab.bridges import library
from spikelab.bridges.spikeinterface import from_spikeinterface
from spikelab.errors import FormatError
from spikelab.formats.reading import RecordingOptions
from spikelab.spikedata.spikedata import SpikeData

MARKS = (
    "si_folder.json",  # a sorting
    "numpysorting_info.json",
    "spikeinterface_info.json",  # an analyzer
    "spikeinterface_log.json",  # what run_sorter leaves
    "unit_ids/.zarray",  # a sorting as Zarr
)
"""Files by which a folder of SpikeInterface is known."""


def recognises(path: Path, head: bytes) -> bool:
    """Return whether SpikeInterface saved this folder."""
    attributes = path / ".zattrs"  # an analyzer as Zarr
    return any((path / mark).is_file() for mark in MARKS) or (
        attributes.is_file() and b"spikeinterface_info" in attributes.read_bytes()
    )


def read(
    path: str | os.PathLike[str],
    *,
    segment_index: int = 0,
    start_time_ms: float | None = None,
    length_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> SpikeData:
    """Read a folder that SpikeInterface saved: a sorting, an analyzer, or of a sorter.

    SpikeInterface unpickles some of the files: open no folder that you do not trust.
    """
    options = RecordingOptions(
        start_time_ms=start_time_ms, length_ms=length_ms, metadata=metadata
    )
    folder = Path(path)
    if (named := registry.named_by(folder)) is not None:
        raise FormatError(
            f"{folder} is named as a file of {named.name}, but is a folder that "
            f"SpikeInterface saved: rename it, or call SpikeData.from_spikeinterface"
        )
    feature = "a folder that SpikeInterface saved"
    core = library("spikeinterface.core", feature, "spikeinterface")
    try:
        loaded = core.load(folder)
    except Exception as error:  # of any type: SpikeInterface has none of its own
        raise FormatError(
            f"{folder}: SpikeInterface cannot open it: {error}"
        ) from error
    if not isinstance(loaded, core.BaseSorting | core.SortingAnalyzer):
        raise FormatError(
            f"{folder} must hold a sorting or a sorting analyzer, "
            f"got a {type(loaded).__name__} of SpikeInterface"
        )
    sd = from_spikeinterface(
        loaded,
        segment_index=segment_index,
        start_time=start_time_ms,
        length=length_ms,
    )
    sd.metadata = options.metadata_with(sd.metadata, source_folder=os.fspath(folder))
    return sd

"""The formats by name, and which one a file or folder has."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import h5py

from spikelab.destinations import MANIFEST
from spikelab.errors import FormatError
from spikelab.formats import csv, hdf5, kilosort, nwb, phy, pickle


@attrs.frozen
class Format:
    """A format: its name, its file names, and its two functions."""

    name: str
    suffixes: tuple[str, ...]
    export: Callable[..., Any]
    read: Callable[..., Any]


FORMATS = {
    entry.name: entry
    for entry in (
        Format("hdf5", (".h5", ".hdf5"), hdf5.export_spikedata_to_hdf5, hdf5.read),
        Format("kilosort", (), kilosort.export_spikedata_to_kilosort, kilosort.read),
        Format("nwb", (".nwb",), nwb.export_spikedata_to_nwb, nwb.read),
        Format("csv", (".csv", ".csv.gz"), csv.export_spikedata_to_csv, csv.read),
        Format("phy", (), phy.export_spikedata_to_phy, kilosort.read),
        Format("pickle", (".pkl", ".pickle"), pickle.export_to_pickle, pickle.read),
    )
}


def named_by(target: str | os.PathLike[str]) -> Format | None:
    """Return the format whose suffix ends the name `target`, None if none does."""
    name = os.fspath(target).lower()
    found = (f for f in FORMATS.values() if name.endswith(f.suffixes))
    return next(found, None)


def recognised(path: Path) -> Format:
    """Return the format of a file or folder, told by what it holds.

    Raises
    ------
    FormatError
        If it is of none.
    """
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        if any(n.endswith(".npy") for n in names) or names & {MANIFEST, "params.py"}:
            return FORMATS["kilosort"]
        raise FormatError(
            f"{path} is no KiloSort or Phy folder: it holds neither .npy files, "
            f"params.py nor {MANIFEST}"
        )
    with path.open("rb") as file:
        start = file.read(8)
    if h5py.is_hdf5(path):
        return FORMATS["nwb" if nwb.is_nwb(path) else "hdf5"]
    if start[:1] == b"\x80":
        return FORMATS["pickle"]
    if start[:2] == b"\x1f\x8b":
        return FORMATS["csv"]
    by_name = named_by(path)
    if by_name is not None and by_name.name in ("csv", "pickle"):
        return by_name
    raise FormatError(
        f"{path} has none of the formats that can be recognised: {', '.join(FORMATS)}"
    )

"""The formats by name, and which one a file or folder has.

A format is a module with an export function, a function ``read``, and a function
``recognises`` that looks at a path and its first bytes. It is imported when it is first
used, since formats import the data classes and those have the exports as methods.
"""

import importlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from spikelab.errors import FormatError


@attrs.frozen
class Format:
    """A format: its name, its file names, and where its functions are."""

    name: str
    """``to_<name>`` is its export method."""

    suffixes: tuple[str, ...] = ()
    """How file names end by which the format is chosen; none for folders."""

    spikes_only: bool = False
    """Whether only objects with spikes can be written."""

    module_name: str = attrs.field()
    """The module, by default that of the same name in :mod:`spikelab.formats`."""

    export_name: str = attrs.field()
    """The export function, by default ``export_spikedata_to_<name>``."""

    @module_name.default
    def _module_of_this_name(self) -> str:
        return f"spikelab.formats.{self.name}"

    @export_name.default
    def _export_of_this_name(self) -> str:
        return f"export_spikedata_to_{self.name}"

    @property
    def module(self) -> ModuleType:
        """The module of the format."""
        return importlib.import_module(self.module_name)

    @property
    def export(self) -> Any:
        """The export function; its attribute ``writer`` makes the writer."""
        return getattr(self.module, self.export_name)

    @property
    def read(self) -> Callable[..., Any]:
        """The function that reads a file or folder of this format."""
        read: Callable[..., Any] = self.module.read
        return read


FORMATS = {
    entry.name: entry
    for entry in (
        Format("nwb", (".nwb",)),
        Format("hdf5", (".h5", ".hdf5")),
        Format("kilosort", spikes_only=True, module_name="spikelab.formats.phy"),
        Format("phy", spikes_only=True),
        Format("csv", (".csv", ".csv.gz")),
        Format("parquet", (".parquet",)),
        Format("pickle", (".pkl", ".pickle"), export_name="export_to_pickle"),
    )
}
"""The formats by name, in the order in which :func:`recognised` asks them."""

SPIKEINTERFACE = Format(
    "spikeinterface", module_name="spikelab.bridges.spikeinterface_folder"
)
"""Folders that SpikeInterface saved, which are read by it and not written."""

_FOREIGN = {
    b"MATLAB 5": "a MATLAB file of an old version; save(name, '-v7.3') makes one that is "
    "HDF5, which is read",
    b"PK\x03\x04": "a ZIP archive, such as .xlsx and .npz, which are not read",
}
"""How files of other programs begin, and what they are."""

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How HDF5 files begin."""

_OF_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")
"""Files in the folder of a Zarr store."""


def named_by(target: str | os.PathLike[str]) -> Format | None:
    """Return the format whose suffix ends the name `target`, None if none does."""
    name = os.fspath(target).lower()
    found = (f for f in FORMATS.values() if f.suffixes and name.endswith(f.suffixes))
    return next(found, None)


def recognised(path: Path | io.RawIOBase) -> Format:
    """Return the format of a file or folder by what it holds, or raise FormatError.

    A file object is of an HDF5 file.
    """
    if isinstance(path, io.RawIOBase):
        is_nwb = FORMATS["nwb"].module.recognises(path, HDF5_SIGNATURE)
        return FORMATS["nwb" if is_nwb else "hdf5"]
    is_folder = path.is_dir()
    if is_folder and SPIKEINTERFACE.module.recognises(path, b""):
        return SPIKEINTERFACE
    head = refuse_foreign(path)
    for entry in FORMATS.values():
        if entry.module.recognises(path, head):
            return entry
    if is_folder:
        raise FormatError(
            f"{path} is a folder, but is no KiloSort or Phy folder: it holds neither "
            ".npy files, params.py nor spikelab.json"
        )
    raise FormatError(
        f"{path} has none of the formats that can be recognised: {', '.join(FORMATS)}"
    )


def refuse_foreign(path: Path) -> bytes:
    """Return the first bytes of a file, b"" of a folder, or raise FormatError.

    What is known not to be read is called by its name.
    """
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(8)
        for beginning, what in _FOREIGN.items():
            if head.startswith(beginning):
                raise FormatError(f"{path} is {what}")
        if not head:
            raise FormatError(f"{path} is empty")
        return head
    if any((path / name).is_file() for name in _OF_ZARR):
        raise FormatError(
            f"{path} is a Zarr store, which is not read; hdmf_zarr.NWBZarrIO reads one "
            "of NWB and exports it to HDF5"
        )
    return b""

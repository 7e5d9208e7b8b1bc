"""The exports as methods of the data classes."""

from typing import TYPE_CHECKING, Any

from spikelab.registry import FORMATS, Format

if TYPE_CHECKING:
    from spikelab.formats import csv, hdf5, nwb, phy, pickle


class _ExportMethod:
    """The export function of a format, imported when it is first used.

    Formats import the data classes, so the data classes cannot import formats.
    """

    def __init__(self, exported: Format) -> None:
        self.format = exported

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        export = self.format.export
        return export if obj is None else export.__get__(obj, owner)


class ExportMixin:
    """Methods that write a data object in the formats of other tools.

    Each is the export function of its format with the object as the first
    argument: same keywords, same defaults, same return value.
    """

    if TYPE_CHECKING:
        to_csv = csv.export_spikedata_to_csv
        to_hdf5 = hdf5.export_spikedata_to_hdf5
        to_kilosort = phy.export_spikedata_to_kilosort
        to_nwb = nwb.export_spikedata_to_nwb
        to_phy = phy.export_spikedata_to_phy
        to_pickle = pickle.export_to_pickle


for _format in FORMATS.values():
    setattr(ExportMixin, f"to_{_format.name}", _ExportMethod(_format))

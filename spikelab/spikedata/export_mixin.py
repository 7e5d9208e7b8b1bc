"""The exports as methods of the data classes."""

from typing import TYPE_CHECKING, Any

from spikelab.registry import FORMATS, Format


class _ExportMethod:
    """The export function of a format, imported when it is first used.

    Formats import the data classes, so the data classes cannot import formats.
    """

    def __init__(self, format: Format) -> None:
        self.format = format

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        export = self.format.export
        return export if obj is None else export.__get__(obj, owner)


class ExportMixin:
    """Methods that write a data object in the formats of other tools.

    Each is the export function of its format with the object as the first
    argument: same keywords, same defaults, same return value.
    """

    if TYPE_CHECKING:
        from spikelab.formats.csv import export_spikedata_to_csv as to_csv
        from spikelab.formats.hdf5 import export_spikedata_to_hdf5 as to_hdf5
        from spikelab.formats.kilosort import export_spikedata_to_kilosort as to_kilosort
        from spikelab.formats.nwb import export_spikedata_to_nwb as to_nwb
        from spikelab.formats.phy import export_spikedata_to_phy as to_phy
        from spikelab.formats.pickle import export_to_pickle as to_pickle


for _format in FORMATS.values():
    setattr(ExportMixin, f"to_{_format.name}", _ExportMethod(_format))

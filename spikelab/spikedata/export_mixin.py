"""The exports as methods of the data classes."""

from typing import TYPE_CHECKING, Any

from spikelab.registry import FORMATS, Format

if TYPE_CHECKING:
    from typing import Unpack

    from spikelab import formats
    from spikelab.formats.functions import export_function
    from spikelab.formats.hdf5.export import ExportOptions, Style
    from spikelab.storage.urls import StrPath


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

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> SpikeData([[12.5, 430.0], []], length=1000.0).to_hdf5("cells.h5")
    'cells.h5'
    """

    if TYPE_CHECKING:
        to_csv = export_function(formats.CSVWriter, "to_csv")
        to_kilosort = export_function(formats.KiloSortWriter, "to_kilosort")
        to_nwb = export_function(formats.NWBWriter, "to_nwb")
        to_parquet = export_function(formats.ParquetWriter, "to_parquet")
        to_phy = export_function(formats.PhyWriter, "to_phy")
        to_pickle = formats.export_to_pickle

        def to_hdf5(  # noqa: D102 - the function that is found has the docstring
            self,
            filepath: StrPath,
            *,
            style: Style = "ragged",
            **options: Unpack[ExportOptions],
        ) -> str: ...


for _format in FORMATS.values():
    setattr(ExportMixin, f"to_{_format.name}", _ExportMethod(_format))

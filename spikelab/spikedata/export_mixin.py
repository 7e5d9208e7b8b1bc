"""The exports as methods of the data classes."""

from typing import TYPE_CHECKING

from spikelab.registry import FORMATS
from spikelab.spikedata.lazy_method import LazyMethod

if TYPE_CHECKING:
    from typing import Unpack

    from spikelab import formats
    from spikelab.formats.functions import export_function
    from spikelab.formats.hdf5.export import ExportOptions, Style
    from spikelab.storage.urls import StrPath


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
    _method = LazyMethod(_format.module_name, _format.export_name)
    setattr(ExportMixin, f"to_{_format.name}", _method)

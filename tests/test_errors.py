"""Warnings point at the line of the user that caused them."""

import pytest
from recordings import simulated

from spikelab.data_loaders.data_exporters import export_spikedata_to_kilosort
from spikelab.formats import KiloSortWriter


@pytest.mark.parametrize(
    "export",
    [
        lambda sd, path: sd.to_kilosort(path, fs_Hz=30_000.0),
        lambda sd, path: export_spikedata_to_kilosort(sd, path, fs_Hz=30_000.0),
        lambda sd, path: KiloSortWriter(fs_Hz=30_000.0).write(sd, path),
        lambda sd, _: KiloSortWriter(fs_Hz=30_000.0).check(sd),
    ],
    ids=["method", "function", "writer", "check"],
)
def test_a_warning_names_the_line_of_the_caller(export, tmp_path):
    """However deep inside of spikelab it was given."""
    with pytest.warns(UserWarning, match="cannot hold start_time") as caught:
        export(simulated(start_time=1000.0), tmp_path)
    assert [warning.filename for warning in caught] == [__file__]

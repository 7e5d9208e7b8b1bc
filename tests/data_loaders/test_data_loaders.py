"""The loaders: the readers of the formats, with a data object as the answer."""

import inspect
from typing import Any

import pytest
from siblings import rates

import spikelab
from spikelab import SpikeData
from spikelab.data_loaders import data_loaders
from spikelab.errors import FormatError
from spikelab.formats import hdf5, kilosort, nwb, pickle

READERS = {
    "load_spikedata_from_hdf5": (hdf5.read, SpikeData),
    "load_spikedata_from_nwb": (nwb.read, SpikeData),
    "load_spikedata_from_kilosort": (kilosort.read, SpikeData),
    "load_spikedata_from_pickle": (pickle.read, SpikeData),
    "load_from_pickle": (pickle.read, Any),
}


@pytest.mark.parametrize("name", READERS)
def test_a_loader_is_its_reader_but_for_the_answer(name):
    """Parameters and documentation are spelled once, the type returned is its own."""
    loader, (reader, returned) = getattr(spikelab, name), READERS[name]
    assert loader.__name__ == name
    assert loader.__module__ == data_loaders.__name__
    assert loader.__doc__ == reader.__doc__
    signature = inspect.signature(loader)
    assert signature.parameters == inspect.signature(reader).parameters
    assert signature.return_annotation is loader.__annotations__["return"] is returned
    assert inspect.signature(reader).return_annotation is not SpikeData


@pytest.mark.parametrize(
    ("method", "loader"),
    [
        ("to_hdf5", spikelab.load_spikedata_from_hdf5),
        ("to_pickle", spikelab.load_spikedata_from_pickle),
    ],
)
def test_a_loader_of_recordings_refuses_another_class(method, loader, tmp_path):
    """It says what the file holds, and what loads it."""
    path = getattr(rates(), method)(tmp_path / "a")
    with pytest.raises(FormatError, match=r"got a RateData; spikelab\.load takes any"):
        loader(path)


def test_a_file_may_be_named_by_keyword(tmp_path):
    """As in any function."""
    path = rates().to_pickle(tmp_path / "a.pkl")
    assert isinstance(spikelab.load(path=path), spikelab.RateData)
    assert isinstance(spikelab.load_from_pickle(filepath=path), spikelab.RateData)


def test_a_wrong_call_names_the_loader():
    """And not the reader that it calls."""
    with pytest.raises(TypeError, match="load_spikedata_from_kilosort: too many"):
        spikelab.load_spikedata_from_kilosort("folder", 30_000.0)


def test_not_every_folder_is_of_a_sorter(tmp_path):
    """The error says what one would hold."""
    with pytest.raises(FormatError, match="is no KiloSort or Phy folder"):
        spikelab.load(tmp_path)

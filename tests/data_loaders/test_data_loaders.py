"""The loaders: the readers of the formats, with a data object as the answer."""

import inspect

import numpy as np
import pytest
from siblings import rates

import spikelab
from spikelab import SpikeData
from spikelab.data_loaders import data_loaders
from spikelab.errors import FormatError
from spikelab.formats import csv, hdf5, nwb, phy, pickle
from spikelab.spikedata.data_object import DataObject

LOADERS = {
    "load_spikedata_from_hdf5": (hdf5.read, SpikeData),
    "load_spikedata_from_nwb": (nwb.read, SpikeData),
    "load_spikedata_from_kilosort": (phy.read, SpikeData),
    "load_spikedata_from_csv": (csv.read, SpikeData),
    "load_spikedata_from_pickle": (pickle.read, SpikeData),
    "load_from_pickle": (pickle.read, DataObject),
}


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_has_the_parameters_of_its_reader(name):
    """Parameters and documentation are spelled once, the type returned is its own."""
    loader, (reader, returned) = getattr(spikelab, name), LOADERS[name]
    assert loader.__doc__ == reader.__doc__
    signature = inspect.signature(loader)
    assert signature.parameters == inspect.signature(reader).parameters
    assert loader.__annotations__["return"] is returned
    assert getattr(data_loaders, name) is loader


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


@pytest.mark.parametrize("call", [spikelab.load, spikelab.load_from_pickle])
def test_an_unknown_option_is_named(call, tmp_path):
    """As in any function."""
    path = rates().to_pickle(tmp_path / "a.pkl")
    with pytest.raises(TypeError, match="unexpected keyword argument 'trust'"):
        call(path, trust=True)


def test_the_name_of_the_source_may_be_anything(tmp_path):
    """It is metadata of the user's, an array here."""
    source = np.array(["a.h5", "b.h5"])
    sd = SpikeData([[1.0]], length=2.0, metadata={"source_file": source})
    found = spikelab.load(sd.to_pickle(tmp_path / "a.pkl"))
    assert found.metadata["source_file"].tolist() == source.tolist()


def test_not_every_folder_is_of_a_sorter(tmp_path):
    """The error says what one would hold."""
    with pytest.raises(FormatError, match="is no KiloSort or Phy folder"):
        spikelab.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "-v7.3"),
        (b"PK\x03\x04\x14\x00\x06\x00", "xlsx"),
        (b"", "is empty"),
    ],
)
def test_files_that_are_not_read_are_called_by_their_name(content, what, tmp_path):
    """By any loader, whatever the file is called."""
    (tmp_path / "a.h5").write_bytes(content)
    for loader in (spikelab.load, spikelab.load_spikedata_from_hdf5):
        with pytest.raises(FormatError, match=what):
            loader(tmp_path / "a.h5")


@pytest.mark.parametrize("suffix", ["pickle", "hdf5", "nwb", "csv"])
def test_unknown_options_are_named(suffix, tmp_path):
    """With the format that does not know them."""
    path = tmp_path / f"a.{suffix}"
    getattr(spikelab.SpikeData([[1.0]]), f"to_{suffix}")(path)
    with pytest.raises(TypeError, match=f"load of '{suffix}': .* 'wings'"):
        spikelab.load(path, wings=2)

"""Parquet tables in pandas, polars and DuckDB, and those of pandas and polars here."""

import numpy as np
import pytest
from recordings import simulated

from spikelab import SpikeData, load

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")


@pytest.fixture(params=["ms", "s", "samples"])
def exported(request, tmp_path):
    """A recording, its two files, and the times as they stand there."""
    sd, unit = simulated(), request.param
    files = str(tmp_path / "s.parquet"), str(tmp_path / "u.parquet")
    sd.to_parquet(files[0], units_table=files[1], time_unit=unit, fs_Hz=30_000.0)
    units, times = sd.idces_times()
    if unit == "samples":
        times = np.rint(times * 30).astype(np.int64)
    return sd, *files, units, times / 1000 if unit == "s" else times, f"time_{unit}"


def test_pandas_opens_them(exported):
    """With pyarrow, typed."""
    sd, spikes, units, expected_units, times, name = exported
    frame = pandas.read_parquet(spikes)
    assert list(frame.columns) == ["unit", name]
    assert np.array_equal(frame["unit"], expected_units)
    assert np.array_equal(frame[name], times)
    table = pandas.read_parquet(units)
    assert table["quality"].tolist() == sd.get_neuron_attribute("quality")
    assert table["n_spikes"].tolist() == [len(t) for t in sd.train]


def test_polars_opens_them(exported):
    """And reads a unit alone."""
    sd, spikes, units, expected_units, times, name = exported
    frame = polars.read_parquet(spikes)
    assert frame.columns == ["unit", name]
    assert np.array_equal(frame[name].to_numpy(), times)
    one = polars.scan_parquet(spikes).filter(polars.col("unit") == 2).collect()
    assert np.array_equal(one[name].to_numpy(), times[expected_units == 2])
    places = polars.read_parquet(units)["location"].to_list()
    assert places == sd.get_neuron_attribute("location")


def test_duckdb_opens_them(exported):
    """In SQL, joined with their units."""
    sd, spikes, units, _, times, name = exported
    query = f"""
        SELECT u.quality, count(*) AS n, sum(s.{name}) AS total
        FROM '{spikes}' s JOIN '{units}' u USING (unit) GROUP BY u.quality
    """
    rows = {quality: (n, total) for quality, n, total in duckdb.sql(query).fetchall()}
    assert sum(n for n, _ in rows.values()) == len(times)
    assert sum(total for _, total in rows.values()) == pytest.approx(times.sum())
    count = duckdb.sql(f"SELECT count(*) FROM '{units}'").fetchall()
    assert count == [(sd.N,)]


def test_attributes_of_all_types_open_everywhere(tmp_path):
    """Lists, nested ones, bool, and columns with nothing in them."""
    known = [
        {"tags": ["a"], "good": True, "waveform": np.ones((2, 3)), "note": "x"},
        {"tags": [], "good": None, "note": None},
    ]
    sd = SpikeData([[1.0], []], length=2.0, neuron_attributes=known)
    units = str(tmp_path / "u.parquet")
    sd.to_parquet(tmp_path / "s.parquet", units_table=units)
    assert polars.read_parquet(units)["waveform"].to_list()[0] == [[1.0] * 3] * 2
    assert list(pandas.read_parquet(units)["tags"][0]) == ["a"]
    query = f"SELECT tags, good, waveform FROM '{units}' ORDER BY unit"
    assert duckdb.sql(query).fetchall() == [
        (["a"], True, [[1.0] * 3] * 2),
        ([], None, None),
    ]


@pytest.mark.parametrize("program", ["pandas", "polars", "duckdb"])
def test_what_they_save_again_is_read(program, exported, tmp_path):
    """As tables from elsewhere, or with our metadata if the program keeps them."""
    sd, spikes, units, *_ = exported
    paths = []
    for source in (spikes, units):
        path = str(tmp_path / f"again-{len(paths)}.parquet")
        if program == "pandas":
            pandas.read_parquet(source).to_parquet(path)
        elif program == "polars":
            polars.read_parquet(source).write_parquet(path)
        else:
            duckdb.sql(f"COPY (SELECT * FROM '{source}') TO '{path}' (FORMAT parquet)")
        paths.append(path)
    found = load(paths[0], units_table=paths[1], fs_Hz=30_000.0)
    assert (found.N, found.start_time, found.length) == (sd.N, 0.0, sd.length)
    for one, two in zip(found.train, sd.train, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-9)
    assert found.get_neuron_attribute("snr") == sd.get_neuron_attribute("snr")

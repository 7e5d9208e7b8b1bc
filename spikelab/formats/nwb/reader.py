"""The units of an NWB file, wherever it comes from, as h5py finds them."""

from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import trains, units
from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.nwb import columns as nwb_columns
from spikelab.formats.nwb import electrodes as nwb_electrodes
from spikelab.formats.nwb import column_names as nwb_names
from spikelab.formats.nwb import tables as nwb_tables
from spikelab.kinds import Contents


@attrs.frozen(kw_only=True, eq=False)
class Found:
    """Where the parts of a Units table lie in an open file.

    Parameters
    ----------
    columns : dict of str to (dataset, index or None)
        The columns by name, the structural ones included.
    ids : h5py.Dataset or None
        The row ids.
    electrodes : dict of str to h5py.Dataset
        Columns of the electrodes table.
    spike_times : str
        Name of the column that holds the spike times.
    recorded : dict
        Attributes of the file's root.
    own : bool
        Whether spikelab wrote the file, so that its notes can be trusted.
    """

    columns: dict[str, tuple[h5py.Dataset, h5py.Dataset | None]]
    ids: h5py.Dataset | None
    electrodes: dict[str, h5py.Dataset]
    spike_times: str = "spike_times"
    recorded: dict[str, Any] = attrs.field(factory=dict)
    own: bool = False


def is_own(file: h5py.File) -> bool:
    """Tell whether spikelab wrote the file."""
    return "spike_times_dataset" in h5.scalar_attributes(file)


def find(file: h5py.File) -> Found:
    """Return where the Units table of a file lies, following links inside of it."""
    recorded = h5.scalar_attributes(file)
    times = str(recorded.get("spike_times_dataset", "spike_times"))
    index = str(recorded.get("spike_times_index_dataset", "spike_times_index"))
    table = h5.member(file, str(recorded.get("group", "units")))
    if not isinstance(table, h5py.Group):
        raise FormatError(f"{file.filename}: the units must be a group, got a dataset")
    columns = {
        name: (_local(table, name), _local(table, f"{name}_index"))
        for name in _column_names(table)
        if name not in (times, index)
    }
    columns[times] = (_local(table, times), _local(table, index))
    return Found(
        columns={n: (d, i) for n, (d, i) in columns.items() if d is not None},
        ids=_local(table, "id"),
        electrodes=_electrodes(file),
        spike_times=times,
        recorded=recorded,
        own="spike_times_dataset" in recorded,
    )


def _column_names(table: h5py.Group) -> list[str]:
    listed = table.attrs.get("colnames")
    names = (
        list(table)
        if listed is None
        else [nwb_tables.text(n) for n in np.ravel(listed)]
    )
    return [name for name in names if name != "id" and not name.endswith("_index")]


def _electrodes(file: h5py.File) -> dict[str, h5py.Dataset]:
    if not h5.has_member(file, nwb_electrodes.TABLE):
        return {}
    table = h5.member(file, nwb_electrodes.TABLE)
    names = table if isinstance(table, h5py.Group) else ()
    found = {name: _local(table, name) for name in names}
    return {name: data for name, data in found.items() if data is not None}


def _local(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """Return the dataset `name` if there is one that keeps its data in this file."""
    if not h5.has_member(group, name):
        return None
    found = h5.member(group, name)
    if not isinstance(found, h5py.Dataset):
        return None
    if found.external or found.is_virtual:
        raise FormatError(
            f"{group.file.filename}: {name!r} must keep its data in this file"
        )
    return found


def attributes_in(file: h5py.File) -> dict[str, Any]:
    """Return, as an argument, the attributes of the units, none without a table."""
    group = str(h5.scalar_attributes(file).get("group", ""))
    if not group or not h5.has_member(file, group):
        return {}
    found = find(file)
    return {"neuron_attributes": _attributes(found, _ids(found, None))}


def contents(
    found: Found, start_time_ms: float | None = None, length_ms: float | None = None
) -> Contents:
    """Return the recording that a Units table describes.

    Parameters
    ----------
    found : Found
        Where the table lies.
    start_time_ms, length_ms : float, optional
        The recording window, if it is not the one that the file tells.
    """
    ids, train = _train(found)
    start, length = _window(found, train, start_time_ms, length_ms)
    if length is not None:
        slack = units.rounding_ms("s", None, trains.largest_ms(train))
        train = trains.into_window(train, start, length, slack)
    return Contents(
        "SpikeData",
        {
            "train": train,
            "start_time": start,
            "length": length,
            "neuron_attributes": _attributes(found, ids),
            "metadata": {"format": "NWB", **_sampling_rate(found)},
        },
    )


def _train(found: Found) -> tuple[NDArray[Any], list[NDArray[np.float64]]]:
    """Return the ids, and for each unit its spike times in ms."""
    data, index = found.columns.get(found.spike_times, (None, None))
    if data is None:
        if found.ids is None:
            raise FormatError(f"the units have no {found.spike_times!r} and no 'id'")
        ids = _ids(found, None)
        return ids, [np.empty(0)] * len(ids)
    if data.ndim != 1 or data.dtype.kind not in "iuf":
        raise FormatError(
            f"{data.name} must be 1-D and hold numbers, got {data.shape} {data.dtype}"
        )
    times = nwb_tables.values(data).astype(np.float64, copy=False)
    # In place: these seconds are nobody else's, and there may be gigabytes of them.
    times *= 1000.0
    # Without an index each unit has one spike, as NWB defines a column.
    stops = (
        nwb_tables.read_ends(index)
        if index is not None
        else np.arange(1, len(times) + 1)
    )
    h5.spend_on_units(len(stops), str(data.name))
    train = trains.split(times, stops, f"{found.spike_times} index")
    return _ids(found, len(train)), train


def _ids(found: Found, n_units: int | None) -> NDArray[Any]:
    """Return the ids of the units, 0 to N - 1 if the file has none."""
    if found.ids is None:
        return np.arange(n_units or 0)
    ids = nwb_tables.values(found.ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise FormatError(f"{found.ids.name} must be 1-D and hold integers")
    if n_units is not None and len(ids) != n_units:
        raise FormatError(
            f"{found.ids.name} must number the {n_units} units, got {len(ids)} ids"
        )
    n_recorded = found.recorded.get("n_units", len(ids))
    if n_recorded != len(ids):
        raise FormatError(
            f"the file must hold {n_recorded} units, as n_units says, got {len(ids)}"
        )
    return ids


def _window(
    found: Found,
    train: list[NDArray[np.float64]],
    start_time_ms: float | None,
    length_ms: float | None,
) -> tuple[float, float | None]:
    """Return start and length in ms: as given, as recorded in ms, or as observed."""
    observed = _observed(found)
    first, last = trains.extremes(train)
    start = start_time_ms
    if start is None:
        start = found.recorded.get("start_time")
    if start is None:
        start = min(first, observed[0] if observed else 0.0)
    length = length_ms if length_ms is not None else found.recorded.get("length_ms")
    if length is None and observed:
        length = max(last, observed[1]) - start
    if isinstance(start, str) or isinstance(length, str):
        raise FormatError(
            f"start_time and length_ms must be numbers, got {start}, {length}"
        )
    return start, length


def _observed(found: Found) -> tuple[float, float] | None:
    """Return when, in ms, the earliest observation starts and the latest ends."""
    data, _ = found.columns.get("obs_intervals", (None, None))
    if data is None or data.ndim != 2 or data.dtype.kind not in "iuf" or not data.size:
        return None
    times = units.to_ms(nwb_tables.values(data), "s", None)
    return float(times.min()), float(times.max())


def _sampling_rate(found: Found) -> dict[str, float]:
    """Return the sampling rate if the file tells it."""
    rate = found.recorded.get("fs_Hz")
    if rate is None and found.spike_times in found.columns:
        resolution = found.columns[found.spike_times][0].attrs.get("resolution")
        if isinstance(resolution, float | np.floating) and 0 < resolution < np.inf:
            rate = float(1.0 / resolution)
    return {"fs_Hz": rate} if isinstance(rate, float) else {}


def _attributes(found: Found, ids: NDArray[Any]) -> list[dict[str, Any]]:
    """Return what is known about each unit."""
    read = {
        name: nwb_tables.read_column(name, data, index, len(ids), found.own)
        for name, (data, index) in found.columns.items()
        if name != found.spike_times and name not in nwb_names.STRUCTURE
    }
    if left_out := [name for name, column in read.items() if column is None]:
        warn(
            f"columns of the units left out: {', '.join(left_out)} (only numbers, "
            "truth values and text are read, one value or one row of them per unit)"
        )
    columns = [column for column in read.values() if column is not None]
    units_known = [{"unit_id": unit} for unit in ids.tolist()]
    if not found.own and "electrodes" in found.columns:
        region = found.columns["electrodes"]
        nwb_electrodes.read(found.electrodes, region, units_known)
    nwb_columns.to_attributes(columns, units_known)
    return units_known

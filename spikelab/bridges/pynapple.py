"""From and to the groups of spike trains of pynapple."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from spikelab.bridges import library
from spikelab.bridges.columns import as_array, as_attributes, warn_of
from spikelab.spikedata.plain import without_units
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData

if TYPE_CHECKING:
    import pynapple

SHORTEST_MS = 1e-3
"""Length in ms of the time support of a recording that has none."""

_TAKEN = ("rate", "metadata", "self")
"""Names that a column of a TsGroup cannot have."""

_NO_IDS = "_keys_are_positions"
"""Mark of a group whose units had no ids, so that its keys are none."""


def from_pynapple(tsgroup: "pynapple.TsGroup") -> SpikeData:
    """Make a recording from a ``TsGroup`` of pynapple.

    The window goes from the start of the time support to its end. Columns of the
    metadata become attributes, and the keys the attribute ``unit_id``.

    Raises
    ------
    MissingExtraError
        Without pynapple, of the extra ``pynapple``.
    TypeError
        If it is no TsGroup.

    Warns
    -----
    UserWarning
        If the time support has gaps, which a recording does not hold.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> import numpy as np, pynapple as nap
    >>> support = nap.IntervalSet(0, 2)
    >>> group = nap.TsGroup({4: nap.Ts(np.array([0.5, 1.5]))}, time_support=support)
    >>> sd = SpikeData.from_pynapple(group)
    >>> sd.train[0].tolist(), sd.length, sd.neuron_attributes
    ([500.0, 1500.0], 2000.0, [{'unit_id': 4}])
    """
    nap = library("pynapple", "from_pynapple", "pynapple")
    if not isinstance(tsgroup, nap.TsGroup):
        raise TypeError(f"from_pynapple takes a TsGroup, got {tsgroup!r:.80}")
    keys = [int(key) for key in tsgroup.index]
    members = [tsgroup[key] for key in keys]
    names = [name for name in tsgroup.metadata_columns if name != "rate"]
    columns = {name: tsgroup.get_info(name).to_numpy() for name in names}
    if "unit_id" not in columns and not vars(tsgroup).get(_NO_IDS):
        columns = {"unit_id": np.array(keys), **columns}
    trains = SpikeTrains.from_arrays(member.times() for member in members)
    trains.flat *= 1000.0
    support = 1000.0 * np.asarray(tsgroup.time_support.values, dtype=np.float64)
    start, stop = (support.min(), support.max()) if support.size else (0.0, 0.0)
    lost = ["gaps between epochs"] if len(support) > 1 else []
    if any(hasattr(member, "values") for member in members):
        lost.append("values of a Tsd")
    warn_of("from_pynapple", "SpikeData", lost)
    return SpikeData(
        trains,
        start_time=start,
        length=stop - start,
        neuron_attributes=as_attributes(columns, len(keys)) if columns else None,
    )


def to_pynapple(sd: SpikeData) -> "pynapple.TsGroup":
    """Return a ``TsGroup`` of pynapple, whose time support is the window.

    Keys are the ``unit_id`` of the units if these are integers in ascending order,
    else 0 to N - 1. Attributes become columns of its metadata. pynapple rounds
    times to nanoseconds.

    Raises
    ------
    MissingExtraError
        Without pynapple, of the extra ``pynapple``.

    Warns
    -----
    UserWarning
        Names what a TsGroup does not hold: metadata of the recording, raw data, and
        an attribute called ``rate``.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> sd = SpikeData([[500.0], []], length=2000.0)
    >>> sd.to_pynapple()[0].times().tolist()
    [0.5]
    """
    nap = library("pynapple", "to_pynapple", "pynapple")
    sd.check()
    sd, dropped = without_units(sd)
    table = sd.unit_table
    columns = {k: as_array(c) for k, c in table.columns.items()}
    keys, ids = list(range(sd.N)), table.unit_ids
    if table.id_key == "unit_id" and _are_keys(ids or []):
        keys = ids or []
        del columns["unit_id"]
    lost = [*dropped, *(["raw_data"] if np.size(sd.raw_data) else [])]
    lost += [f"metadata {key!r}" for key in sd.metadata]
    for key in [k for k in columns if not isinstance(k, str) or k in _TAKEN]:
        lost.append(f"neuron_attributes {key!r}")
        del columns[key]
    stop = max(sd.start_time + sd.length, sd.spike_trains.extremes()[1])
    if sd.length < SHORTEST_MS:
        lost.append(f"a window of {sd.length} ms (it is {SHORTEST_MS} ms long there)")
        stop = sd.start_time + SHORTEST_MS
    warn_of("to_pynapple", "TsGroup", lost)
    with warnings.catch_warnings():
        # Names that cannot be attributes of the group, rates of a window of length 0.
        warnings.simplefilter("ignore")
        support = nap.IntervalSet(sd.start_time / 1000.0, stop / 1000.0)
        members = {
            key: nap.Ts(times / 1000.0, time_support=support)
            for key, times in zip(keys, sd.train, strict=True)
        }
        group = nap.TsGroup(members, time_support=support, bypass_check=True)
        group.set_info(**columns)
    if table.id_key != "unit_id" and "unit_id" not in columns:
        vars(group)[_NO_IDS] = True
    return group


def _are_keys(ids: list[Any]) -> bool:
    """Return whether ids can be the keys of a TsGroup, which sorts them."""
    are_ints = all(isinstance(i, int) and 0 <= i < 2**63 for i in ids)
    return are_ints and ids == sorted(ids)

"""What spikelab 0.1.2 has to load a sorting of SpikeInterface."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikelab import validate
from spikelab.bridges.columns import holds_nothing
from spikelab.spikedata import time_units
from spikelab.spikedata.spikedata import SpikeData

ELECTRODES = ("channel", "ch", "peak_channel", "electrode")
LOCATIONS = ("location", "unit_location", "position")
"""Properties of a sorting that become electrode and location; the first counts."""


def load_spikedata_from_spikeinterface(
    sorting: Any,
    *,
    sampling_frequency: float | None = None,
    unit_ids: Sequence[int | str] | None = None,
    segment_index: int = 0,
) -> SpikeData:
    """Return the spikes of a sorting of SpikeInterface, as spikelab 0.1.2 does.

    :meth:`.SpikeData.from_spikeinterface` keeps more: all properties, the window, and
    what a sorting analyzer knows.

    Parameters
    ----------
    sorting : object
        Any object with ``get_unit_ids``, ``get_sampling_frequency`` and
        ``get_unit_spike_train``.
    sampling_frequency : float, optional
        Sampling rate in Hz, by default that of the sorting.
    unit_ids : sequence of int or str, optional
        The units to take, in this order; by default all.
    segment_index : int
        The segment of the sorting.

    Returns
    -------
    SpikeData
        From 0 to the last spike, with the attributes ``unit_id`` and, if the sorting
        has such properties, ``electrode`` and ``location``; ``metadata`` holds
        ``fs_Hz``, ``unit_ids`` and ``source_format``.

    Raises
    ------
    TypeError
        If the sorting lacks one of these methods.
    ValueError
        If the sampling rate is not positive, or the sorting has no such unit.

    Examples
    --------
    >>> from spikelab import load_spikedata_from_spikeinterface
    >>> import numpy as np
    >>> from spikeinterface.core import NumpySorting
    >>> sorting = NumpySorting.from_unit_dict([{7: np.array([30, 60])}], 30_000.0)
    >>> load_spikedata_from_spikeinterface(sorting).train[0]
    array([1., 2.])
    """
    methods = ("get_unit_ids", "get_sampling_frequency", "get_unit_spike_train")
    if missing := [name for name in methods if not hasattr(sorting, name)]:
        raise TypeError(f"sorting must have {', '.join(missing)}, got {sorting!r:.80}")
    rate = sampling_frequency or sorting.get_sampling_frequency()
    fs_Hz = validate.positive("sampling_frequency", rate)
    all_ids = list(sorting.get_unit_ids())
    ids = all_ids if unit_ids is None else list(unit_ids)
    if unknown := [unit_id for unit_id in ids if unit_id not in all_ids]:
        raise ValueError(f"unit_ids must be among {all_ids}, got {unknown}")
    get = getattr(sorting, "get_property", lambda name: None)

    def first_of(names: Sequence[str]) -> Any:
        return next((found for n in names if (found := get(n)) is not None), None)

    electrodes, locations = first_of(ELECTRODES), first_of(LOCATIONS)
    train, attributes = [], []
    for unit_id in ids:
        samples = sorting.get_unit_spike_train(unit_id, segment_index=segment_index)
        train.append(time_units.to_ms(np.asarray(samples), "samples", fs_Hz))
        row, position = {"unit_id": unit_id}, all_ids.index(unit_id)
        if electrodes is not None and not holds_nothing(electrodes[position]):
            row["electrode"] = int(electrodes[position])
        if locations is not None:
            row["location"] = np.atleast_1d(locations[position]).tolist()
        attributes.append(row)
    return SpikeData(
        train,
        neuron_attributes=attributes,
        metadata={"source_format": "SpikeInterface", "unit_ids": ids, "fs_Hz": rate},
    )

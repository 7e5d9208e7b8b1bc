"""From and to the objects of neo."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spikelab.bridges import library
from spikelab.bridges.columns import warn_of
from spikelab.spikedata.quantity import has_unit, in_ms, in_unit, split_unit
from spikelab.spikedata.spikedata import SpikeData

if TYPE_CHECKING:
    import neo

TEXTS = ("name", "description", "file_origin")
"""What every object of neo may say beside its annotations."""

OTHER_DATA = (
    *("analogsignals", "irregularlysampledsignals", "events", "epochs"),
    "imagesequences",
)
"""What a segment can hold beside spike trains."""


def from_neo(
    block_or_segment_or_list: "neo.Block | neo.Segment | Iterable[neo.SpikeTrain]",
) -> SpikeData:
    """Make a recording from spike trains of neo.

    Times are converted by their unit. The window goes from the first ``t_start`` to
    the last ``t_stop``. Names, annotations and array annotations of a spike train
    become attributes; annotations of block and segment become metadata.

    Parameters
    ----------
    block_or_segment_or_list : Block, Segment, or iterable of SpikeTrain
        A Block must have one segment.

    Raises
    ------
    MissingExtraError
        Without neo, of the extra ``neo``.
    TypeError
        If it is none of these.
    ValueError
        If the Block has no segment, or several.

    Warns
    -----
    UserWarning
        Names what is left out: signals, events, epochs, waveforms of single spikes,
        and units of annotations.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> import neo
    >>> train = neo.SpikeTrain([0.5, 1.5], units="s", t_stop=2.0, depth=3)
    >>> sd = SpikeData.from_neo([train])
    >>> sd.train[0].tolist(), sd.length, sd.neuron_attributes
    ([500.0, 1500.0], 2000.0, [{'depth': 3}])
    """
    neo: Any = library("neo", "from_neo", "neo")
    given: Any = block_or_segment_or_list
    holders = _holders(neo, given)
    trains = list(holders[-1].spiketrains if holders else given)
    trains = [train.load() if hasattr(train, "load") else train for train in trains]
    lost: set[str] = set()
    for holder in holders[-1:]:
        lost |= {name for name in OTHER_DATA if len(getattr(holder, name, ()))}
    attributes = []
    for unit, train in enumerate(trains):
        if not isinstance(train, neo.SpikeTrain):
            raise TypeError(
                f"unit {unit}: must be a neo.SpikeTrain, got {type(train).__name__}"
            )
        if train.waveforms is not None:
            lost.add("waveforms")
        known = {**_texts(train), **train.annotations}
        # The spikes of a SpikeData are in order, those of neo need not be.
        order = np.argsort(train.magnitude, kind="stable")
        known |= {k: np.asarray(v)[order] for k, v in train.array_annotations.items()}
        for key, value in known.items():
            known[key], measure = split_unit(value)
            if measure:
                lost.add(f"the unit of {key} ({measure})")
        attributes.append(known)
    edges = {(in_ms("start", t.t_start), in_ms("stop", t.t_stop)) for t in trains}
    start = min((first for first, _ in edges), default=0.0)
    stop = max((last for _, last in edges), default=start)
    if len(edges) > 1:
        lost.add("windows of single units")
    warn_of("from_neo", "SpikeData", sorted(lost))
    return SpikeData(
        [in_ms("times", t) for t in trains],
        start_time=start,
        length=stop - start,
        neuron_attributes=attributes if any(attributes) else None,
        metadata=_metadata(holders, trains),
    )


def _holders(neo: Any, given: Any) -> list[Any]:
    """Return the Block and Segment that hold spike trains, none for a list of them."""
    if isinstance(given, neo.SpikeTrain):
        raise TypeError("from_neo takes a list of SpikeTrains: from_neo([train])")
    holders = [given] if isinstance(given, neo.Block | neo.Segment) else []
    if isinstance(given, neo.Block):
        if len(given.segments) != 1:
            raise ValueError(
                f"the Block must have one segment, got {len(given.segments)}; "
                f"from_neo takes each of block.segments"
            )
        holders.append(given.segments[0])
    if not holders and (
        isinstance(given, str | Mapping) or not isinstance(given, Iterable)
    ):
        raise TypeError(
            f"from_neo takes a neo.Block, a neo.Segment or a list of "
            f"neo.SpikeTrain, got {given!r:.80}"
        )
    return holders


def _metadata(holders: list[Any], trains: list[Any]) -> dict[str, Any]:
    """Return what is known about the recording: the texts of Block and Segment."""
    metadata: dict[str, Any] = {}
    given_rates = [t.sampling_rate for t in trains if t.sampling_rate is not None]
    rates = {float(in_unit("sampling_rate", rate, "Hz")) for rate in given_rates}
    if len(rates) == 1 and rates != {1.0}:  # 1 Hz is what neo writes for unknown
        metadata["fs_Hz"] = rates.pop()
    for holder in holders:
        metadata |= _texts(holder) | holder.annotations
        if getattr(holder, "rec_datetime", None) is not None:
            metadata["rec_datetime"] = holder.rec_datetime.isoformat()
    return metadata


def _texts(obj: Any) -> dict[str, Any]:
    return {k: str(getattr(obj, k)) for k in TEXTS if getattr(obj, k) is not None}


def from_neo_spiketrains(
    spiketrains: "Iterable[neo.SpikeTrain]", **kwargs: Any
) -> SpikeData:
    """Make a recording of the times of spike trains of neo, as spikelab 0.1.2 does.

    Times are converted by their unit; `kwargs` are further arguments of
    :class:`.SpikeData`. :meth:`from_neo` takes windows and annotations too.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> import neo
    >>> trains = [neo.SpikeTrain([0.5], units="s", t_stop=2.0)]
    >>> SpikeData.from_neo_spiketrains(trains, length=900.0).train[0].tolist()
    [500.0]
    """
    trains = list(spiketrains)
    for unit, train in enumerate(trains):
        if not has_unit(type(train)):
            raise TypeError(
                f"unit {unit}: must be a neo.SpikeTrain, got {type(train).__name__}"
            )
    return SpikeData(trains, **kwargs)


def to_neo(sd: SpikeData) -> "neo.Block":
    """Return a ``neo.Block`` with one Segment: a SpikeTrain in ms for each unit.

    ``t_start`` and ``t_stop`` are the window, attributes the annotations of each
    spike train, metadata those of the block.

    Raises
    ------
    MissingExtraError
        Without neo, of the extra ``neo``.

    Warns
    -----
    UserWarning
        Names what is left out: raw data, and values that are no annotations.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> sd = SpikeData([[500.0], []], length=2000.0)
    >>> sd.to_neo().segments[0].spiketrains[0]
    <SpikeTrain(array([500.]) * ms, [0.0 ms, 2000.0 ms])>
    """
    neo = library("neo", "to_neo", "neo")
    units = library("quantities", "to_neo", "neo")
    sd.check()
    # The last spike may lie a rounding error beyond the sum.
    stop = max(sd.start_time + sd.length, sd.spike_trains.extremes()[1])
    window = {"t_start": sd.start_time * units.ms, "t_stop": stop * units.ms}
    if isinstance(sd.metadata.get("fs_Hz"), int | float):
        window["sampling_rate"] = sd.metadata["fs_Hz"] * units.Hz
    block, segment, trains = neo.Block(), neo.Segment(), []
    lost = ["raw_data"] if np.size(sd.raw_data) else []
    if sd.length and not sd.N:
        lost.append("a window without units")

    def annotate(obj: Any, values: Mapping[Any, Any], name: str) -> None:
        for key, value in values.items():
            try:
                obj.annotate(**{key: value})
            except (TypeError, ValueError):
                lost.append(f"{name} {key!r}")

    annotate(block, sd.metadata, "metadata")
    for times, row in zip(sd.train, sd.neuron_attributes or [{}] * sd.N, strict=True):
        texts = {key: row[key] for key in TEXTS if isinstance(row.get(key), str)}
        train = neo.SpikeTrain(times * units.ms, **window, **texts)
        others = {key: value for key, value in row.items() if key not in texts}
        annotate(train, others, "neuron_attributes")
        trains.append(train)
    segment.spiketrains.extend(trains)
    block.segments.append(segment)
    warn_of("to_neo", "neo.Block", list(dict.fromkeys(lost)))
    return block

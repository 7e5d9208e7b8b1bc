"""The writer of NWB files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from spikelab import validate
from spikelab.formats import h5, protect
from spikelab.formats.base import FileWriter
from spikelab.formats.functions import export_function
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.derived import ComparisonPlan, RateSlicesPlan, RatesPlan
from spikelab.formats.nwb.header import header_of
from spikelab.formats.nwb.reader import read
from spikelab.formats.nwb.schema import SPIKE_TIMES, SPIKE_TIMES_INDEX
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.formats.nwb.spikes import WINDOWS, Plan, RecordingPlan, SpikeSlicesPlan
from spikelab.formats.nwb.units import UnitsNames, unit_facts
from spikelab.spikedata import time_units
from spikelab.spikedata.cutting import recording_metadata
from spikelab.spikedata.data_object import DataObject, UnitObject, data_class
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

_PLANS: dict[str, type[Plan[Any]]] = {
    "SpikeData": RecordingPlan,
    "SpikeSliceStack": SpikeSlicesPlan,
    "RateData": RatesPlan,
    "RateSliceStack": RateSlicesPlan,
    "PairwiseCompMatrix": ComparisonPlan,
    "PairwiseCompMatrixStack": ComparisonPlan,
}
"""How an object of each data class lies in a file."""


_TAKEN = schema.STRUCTURE - {SPIKE_TIMES, SPIKE_TIMES_INDEX} | {"colnames"}
"""Members of the Units table under whose names spike times cannot be written."""


@attrs.frozen(kw_only=True)
class NWBWriter(FileWriter[Plan[Any]]):
    """Write a data object, and what is known about its units, as an NWB 2 file.

    Parameters
    ----------
    spike_times_dataset, spike_times_index_dataset : str
        Names of the spike times and of their index in the table.
    group : str
        Name of the table. With other names than NWB's own, the readers of NWB
        do not find the units, which a warning says.
    session : NWBSession, optional
        When, where and by whom the recording was made; by default what
        ``metadata["nwb_session"]`` holds. Without either the start of the session is
        1970-01-01, which the session's description says is a placeholder.
    subject : NWBSubject, optional
        The animal or person that was recorded from; by default what
        ``metadata["nwb_subject"]`` holds.
    fs_Hz : float, optional
        Sampling rate in Hz, by default ``metadata["fs_Hz"]``. It becomes the resolution
        of the spike times, from which SpikeInterface takes its sampling rate.

    Warns
    -----
    UserWarning
        If an attribute of the units is left out or gets another name, if the
        readers of NWB will not find the units, if spike times are negative, or if NWB
        does not take what metadata say about session and subject.

    Notes
    -----
    In the file, times are in seconds, float64, but for two attributes of the root.

    ``/`` attributes ``start_time``, ``length_ms``
        The recording window in ms.
    ``timestamps_reference_time``
        The moment of time 0: the start of the session, later by
        ``metadata["time_zero_ms"]``.
    ``units/id``
        int64 (N,): the ids of the units, if they are distinct integers, or 0 to
        N - 1. Units without one, among others that have it, get a free number.
    ``units/spike_times``, ``units/spike_times_index``
        All times, unit after unit, and for each unit where they end.
    ``units/obs_intervals``
        (N, 2): the recording window, once for each unit.
    ``units/electrodes``
        Rows of ``general/extracellular_ephys/electrodes``, for units with an
        attribute ``electrode``, ``channel`` or ``ch``.
    ``units/waveform_mean``, ``units/waveform_sd``
        (N, samples, channels): the attributes of these names; for ``waveform_mean``
        also ``template`` or ``avg_waveform``. NaN for units without one.
    ``units/<key>``
        Each key of ``neuron_attributes`` whose values are all numbers, all
        bool, all str, or arrays of one of these. Where a unit has no
        value, the column holds NaN, an empty text or an empty row.

    The other classes:

    ``SpikeSliceStack``
        The spikes of all slices in the time of the recording, each once, as above;
        the windows in ``intervals/trials``, with ``event_time`` if the slices count
        from an event. The file is read as a SpikeData.
    ``RateData``, ``RateSliceStack``
        ``processing/ecephys/firing_rates``, a TimeSeries of shape (times, N); the
        attributes of the units in ``processing/ecephys/unit_attributes``. The windows
        are trials, and each refers to its rows of the series. With fewer times than
        units it is a DynamicTable: a row for each time, window after window.
    ``PairwiseCompMatrix``, ``PairwiseCompMatrixStack``
        ``processing/ecephys/pairwise_comparison``, a table with one row per unit:
        ``label`` and ``comparison``, (N, N) or (N, N, S). The windows are trials.

    The creation date is ``SOURCE_DATE_EPOCH`` if that is set; then the same
    recording and session give the same bytes.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import NWBWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_nwb("cells.nwb", fs_Hz=30_000)
    'cells.nwb'
    >>> NWBWriter(fs_Hz=30_000).write(sd, "cells.nwb")
    'cells.nwb'
    """

    method: ClassVar[str] = "to_nwb"

    spike_times_dataset: str = attrs.field(
        default=SPIKE_TIMES, validator=validate.is_dataset_name
    )
    spike_times_index_dataset: str = attrs.field(
        default=SPIKE_TIMES_INDEX, validator=validate.is_dataset_name
    )
    group: str = attrs.field(default=schema.UNITS, validator=validate.is_dataset_name)
    session: NWBSession | None = attrs.field(
        default=None, validator=validate.is_optional_instance(NWBSession)
    )
    subject: NWBSubject | None = attrs.field(
        default=None, validator=validate.is_optional_instance(NWBSubject)
    )
    fs_Hz: float | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(time_units.fs_in_hz),
        validator=attrs.validators.optional(time_units.is_sampling_rate),
    )

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together, and names that are taken."""
        names = {
            "spike_times_dataset": self.spike_times_dataset,
            "spike_times_index_dataset": self.spike_times_index_dataset,
        }
        validate.distinct(**names)
        for name, value in names.items():
            if value.split("/")[0] in _TAKEN:
                raise ValueError(
                    f"{name} must not be one of {sorted(_TAKEN)}, got {value!r}"
                )
        if self.group.split("/")[0] in schema.MEMBERS:
            raise ValueError(
                f"group must not lie in a part of the file with another meaning "
                f"({', '.join(sorted(schema.MEMBERS))}), got {self.group!r}"
            )
        born = self.subject.date_of_birth if self.subject else None
        if born and self.session and born > self.session.session_start_time:
            raise ValueError(
                f"date_of_birth must not be after session_start_time, "
                f"got {born} and {self.session.session_start_time}"
            )

    def _names(self) -> UnitsNames:
        return UnitsNames(
            self.group, self.spike_times_dataset, self.spike_times_index_dataset
        )

    def _prepared(self, obj: DataObject) -> Plan[Any]:
        metadata = getattr(obj, "metadata", None) or {}
        if isinstance(obj, SpikeSliceStack):
            metadata = recording_metadata(obj)
        units = None
        has_spikes = isinstance(obj, SpikeData | SpikeSliceStack)
        if isinstance(obj, UnitObject) and (
            has_spikes or obj.neuron_attributes is not None
        ):
            names = (self.spike_times_dataset, self.spike_times_index_dataset)
            area = self.session.electrode_location if self.session else None
            taken = [name.split("/")[0] for name in names]
            units = unit_facts(obj.unit_table, taken, area)
        header = header_of(metadata, self.session, self.subject, self.fs_Hz)
        return _PLANS[data_class(obj).__name__](obj, header, units)

    def _cautions(self, plan: Plan[Any]) -> Iterator[str]:
        own_names = self._names().own()
        if plan.units is not None and (text := plan.units.cautions()):
            yield f"neuron_attributes in NWB: {text}"
        if refused := plan.header.refused:
            yield f"session and subject are written without: {'; '.join(refused)}"
        if not isinstance(plan, RecordingPlan):
            if own_names:
                yield f"{', '.join(own_names)} has no meaning for a {plan.name}"
            return
        if own_names:
            times, ends = self.spike_times_dataset, self.spike_times_index_dataset
            yield (
                "NWB readers look for the spikes in 'units/spike_times' and "
                f"'units/spike_times_index' and will not find them in "
                f"'{self.group}/{times}' and '{self.group}/{ends}'"
            )
        recording = plan.obj
        if recording.start_time < 0 and recording.spike_trains.extremes()[0] < 0:
            yield (
                "NWB counts time from the start of the session, and its validators "
                "object to negative spike times; this recording has some "
                f"(start_time is {recording.start_time} ms)"
            )

    def _warned_losses(self, plan: Plan[Any]) -> list[str]:
        return [] if plan.units is None else plan.units.left_out_losses()

    def _losses(self, plan: Plan[Any]) -> list[str]:
        return list(plan.losses())

    def _carried(self, plan: Plan[Any]) -> DataObject:
        return plan.carried()

    def _atol_ms(self, plan: Plan[Any]) -> float:
        return time_units.rounding_ms("s", None, plan.largest_ms())

    def _write(self, plan: Plan[Any], staged: Path) -> None:
        with h5.created(staged) as file:
            plan.header.write(file)
            file.attrs.update({"creator": schema.CREATOR, "kind": plan.name})
            plan.write(file, self._names())
            plan.header.finish(file, staged)
            protect.record_members(file)

    def _read(self, staged: Path) -> DataObject:
        found = read(staged)
        if isinstance(found, SpikeData):
            with h5.opened(staged) as file:
                if windows := schema.read_trials(file):
                    found.metadata[WINDOWS] = np.array(windows)
        return found


export_spikedata_to_nwb = export_function(NWBWriter, "export_spikedata_to_nwb")

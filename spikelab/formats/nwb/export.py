"""The writer of NWB files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from spikelab import validate
from spikelab.formats import h5, protect
from spikelab.formats.base import FileWriter, Loss, recordings_of
from spikelab.formats.functions import export_function
from spikelab.formats.nwb import loading, schema, units_table, waveform_columns
from spikelab.formats.nwb.file_header import Header, header_of
from spikelab.formats.nwb.object_part import ObjectPart, fingerprint, windows_ms
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.formats.nwb.units_table import UnitFacts, unit_facts
from spikelab.spikedata import time_units
from spikelab.spikedata.cutting import recording_metadata
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import UnitTable

_NAMES = ("group", "spike_times_dataset", "spike_times_index_dataset")
"""Options that name parts of the file."""

_WINDOWS = "windows"
"""Key of the metadata in which the windows of slices are compared."""


@attrs.frozen(kw_only=True)
class NWBWriter(FileWriter):
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
        are trials, and each refers to its rows of the series.
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
        default=units_table.SPIKE_TIMES, validator=validate.is_dataset_name
    )
    spike_times_index_dataset: str = attrs.field(
        default=units_table.SPIKE_TIMES_INDEX, validator=validate.is_dataset_name
    )
    group: str = attrs.field(default=schema.UNITS, validator=validate.is_dataset_name)
    session: NWBSession | None = attrs.field(
        default=None, validator=validate.is_optional_instance(NWBSession)
    )
    subject: NWBSubject | None = attrs.field(
        default=None, validator=validate.is_optional_instance(NWBSubject)
    )
    fs_Hz: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(validate.is_positive)
    )

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together."""
        names = {
            "spike_times_dataset": self.spike_times_dataset,
            "spike_times_index_dataset": self.spike_times_index_dataset,
        }
        validate.distinct(**names)
        for name, value in names.items():
            if value.split("/")[0] in units_table.OTHERS:
                raise ValueError(
                    f"{name} must not be one of {sorted(units_table.OTHERS)}, "
                    f"got {value!r}"
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

    def _check_format(self, obj: DataObject) -> None:
        _part(obj).check(obj)

    def _cautions(self, obj: DataObject) -> Iterator[str]:
        part = _part(obj)
        facts, header = self._facts(obj), self._header(obj)
        if facts and (said := facts.cautions()):
            yield f"neuron_attributes in NWB: {said}"
        if header.refused:
            yield f"session and subject are written without: {'; '.join(header.refused)}"
        recording, names = part.recording(obj), self._own_names()
        if recording is None and names:
            yield f"{', '.join(names)} has no meaning for a {part.cls.__name__}"
        elif names:
            times, ends = self.spike_times_dataset, self.spike_times_index_dataset
            yield (
                "NWB readers look for the spikes in 'units/spike_times' and "
                f"'units/spike_times_index' and will not find them in "
                f"'{self.group}/{times}' and '{self.group}/{ends}'"
            )
        if recording is None or recording.start_time >= 0:
            return
        if recording.spike_trains.extremes()[0] < 0:
            yield (
                "NWB counts time from the start of the session, and its validators "
                "object to negative spike times; this recording has some "
                f"(start_time is {recording.start_time} ms)"
            )

    def _own_names(self) -> dict[str, str]:
        """Return the options that give another name than NWB does."""
        fields = attrs.fields_dict(type(self))
        names = {name: getattr(self, name) for name in _NAMES}
        return {n: v for n, v in names.items() if v != fields[n].default}

    def _facts(self, obj: DataObject) -> UnitFacts | None:
        """Return what is known about the units, in the form that a table holds."""
        known, has_spikes = getattr(obj, "neuron_attributes", None), recordings_of(obj)
        if known is None and not has_spikes:
            return None
        table = UnitTable(known, has_spikes[0].N if has_spikes else len(known or ()))
        names = (self.spike_times_dataset, self.spike_times_index_dataset)
        area = self.session.electrode_location if self.session else None
        return unit_facts(table, [name.split("/")[0] for name in names], area)

    def _header(self, obj: DataObject) -> Header:
        return header_of(_metadata(obj), self.session, self.subject, self.fs_Hz)

    def _losses(self, obj: DataObject) -> list[Loss]:
        facts = self._facts(obj)
        lost = list(facts.losses()) if facts else []
        if "metadata" in data_class(obj).FIELDS:
            lost += self._header(obj).losses(_metadata(obj))
        return lost + list(_part(obj).losses(obj))

    def _carried(self, obj: DataObject) -> DataObject:
        recording = _part(obj).recording(obj)
        if recording is None or not isinstance(obj, SpikeSliceStack):
            return obj
        windows = time_units.there_and_back(windows_ms(obj.times), "s", None)
        recording.metadata = {**self._header(obj).metadata(), _WINDOWS: windows}
        return recording

    def _atol_ms(self, obj: DataObject) -> float:
        recording = _part(obj).recording(obj)
        spikes = (0.0, 0.0) if recording is None else recording.spike_trains.extremes()
        given = None if isinstance(obj, SpikeData) else getattr(obj, "times", None)
        windows = np.ravel([] if given is None else given)
        largest = np.abs(np.concatenate([spikes, windows])).max()
        return time_units.rounding_ms("s", None, float(largest))

    def _write(self, obj: DataObject, staged: Path) -> None:
        part, facts, header = _part(obj), self._facts(obj), self._header(obj)
        recording = part.recording(obj)
        fields = {*data_class(obj).FIELDS.values()} - {"neuron_attributes", "metadata"}
        content = [getattr(obj, name) for name in sorted(fields)]
        if recording is not None:
            trains = recording.spike_trains
            content = [trains.flat, trains.ends, recording.start_time, recording.length]
            content.append(obj.times if isinstance(obj, SpikeSliceStack) else None)
        content.append(facts.ids if facts else None)
        for column in facts.columns if facts else ():
            content += [column.name, column.notes(), column.data, column.ends]
        with h5.created(staged) as file:
            header.write(file, fingerprint(content))
            file.attrs.update({"creator": schema.CREATOR, "kind": part.cls.__name__})
            if recording is not None and facts is not None:
                file.attrs.update({"n_units": recording.N, **self._own_names()})
                table = units_table.write_units(
                    file,
                    facts,
                    recording,
                    group=self.group,
                    times=self.spike_times_dataset,
                    ends=self.spike_times_index_dataset,
                    fs_Hz=header.fs_Hz,
                )
                waveform_columns.describe(table, header.fs_Hz, header.waveform_unit)
            elif facts is not None:
                units_table.write_facts(file, facts)
            part.write(file, obj)
            protect.record_members(file)

    def _read(self, staged: Path) -> DataObject:
        found = loading.read(staged)
        if isinstance(found, SpikeData):
            with h5.opened(staged) as file:
                if windows := schema.read_trials(file):
                    found.metadata[_WINDOWS] = np.array(windows)
        return found


export_spikedata_to_nwb = export_function(NWBWriter, "export_spikedata_to_nwb")


def _part(obj: DataObject) -> ObjectPart[Any]:
    return loading.PARTS[data_class(obj).__name__]


def _metadata(obj: DataObject) -> dict[Any, Any]:
    """Return what is known about the recording that an object is, or comes from."""
    if isinstance(obj, SpikeSliceStack):
        return recording_metadata(obj)
    return dict(getattr(obj, "metadata", None) or {})

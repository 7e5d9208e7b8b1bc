"""Other packages' objects as sources and targets of a recording."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import neo
    import pandas
    import pynapple
    from pynwb import NWBFile
    from spikeinterface.core import BaseSorting, NumpySorting, SortingAnalyzer

    from spikelab.spikedata.spikedata import SpikeData


class BridgeMixin:
    """Methods of a recording that take and give objects of other packages.

    :mod:`spikelab.bridges` is imported when it is first used: it imports the data
    classes, and the other package.
    """

    @staticmethod
    def from_spikeinterface(
        sorting_or_analyzer: "BaseSorting | SortingAnalyzer",
        *,
        segment_index: int = 0,
        start_time: float | None = None,
        length: float | None = None,
    ) -> "SpikeData":
        """Make a recording from a sorting or a sorting analyzer of SpikeInterface.

        Unit ids become the attribute ``unit_id``, properties attributes, annotations
        metadata. Of an analyzer, what was computed is taken too: ``quality_metrics``
        and ``template_metrics`` as attributes, ``templates`` as ``waveform_mean`` and
        ``waveform_sd`` (float32, samples x channels) with ``waveform_channels``, the
        ``electrode`` with the largest template, and ``unit_locations`` as ``location``.

        Parameters
        ----------
        sorting_or_analyzer : BaseSorting or SortingAnalyzer
            What to convert; every reader of SpikeInterface gives a sorting.
        segment_index : int
            The segment; there is a warning if there are more and the first is taken.
        start_time : float, optional
            Time of sample 0 in ms; by default what SpikeInterface says.
        length : float, optional
            Length of the recording in ms; by default that of the analyzer's or the
            registered recording, else up to the last spike.

        Returns
        -------
        SpikeData
            Missing values (NaN, None, "") are attributes that a unit does not have.
            ``metadata["fs_Hz"]`` is the sampling rate, ``metadata["waveform_unit"]``
            the unit of the waveforms, if SpikeInterface scaled them.

        Raises
        ------
        MissingExtraError
            Without SpikeInterface, of the extra ``spikeinterface``.
        TypeError
            If it is neither a sorting nor an analyzer.
        ValueError
            If there is no such segment, or a spike lies outside of a given window.

        Warns
        -----
        UserWarning
            If spikes lie outside of the recording, which is then extended.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> import numpy as np
        >>> from spikeinterface.core import NumpySorting
        >>> sorting = NumpySorting.from_unit_dict([{7: np.array([30, 60])}], 30_000.0)
        >>> sd = SpikeData.from_spikeinterface(sorting, length=100.0)
        >>> sd.train[0].tolist(), sd.neuron_attributes
        ([1.0, 2.0], [{'unit_id': 7}])
        """
        from spikelab.bridges.spikeinterface import from_spikeinterface

        return from_spikeinterface(
            sorting_or_analyzer,
            segment_index=segment_index,
            start_time=start_time,
            length=length,
        )

    def to_spikeinterface(self, fs_Hz: float | None = None) -> "NumpySorting":
        """Return the spikes as a ``NumpySorting`` of SpikeInterface, with one segment.

        Unit ids are the distinct ``unit_id`` (str or int) of the units, else 0 to
        N - 1. Attributes become properties, metadata that JSON can hold annotations.
        Each spike goes to the nearest sample. The start of the segment is set, so that
        SpikeInterface shows the same seconds.

        Parameters
        ----------
        fs_Hz : float, optional
            Sampling rate, by default ``metadata["fs_Hz"]``.

        Raises
        ------
        MissingExtraError
            Without SpikeInterface, of the extra ``spikeinterface``.
        ValueError
            If no sampling rate is known.

        Warns
        -----
        UserWarning
            Names what a sorting does not hold: the length of the recording, times
            between samples, raw data, and metadata of other types.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0, 2.0]], neuron_attributes=[{"unit_id": "a", "snr": 5.0}])
        >>> sorting = sd.to_spikeinterface(fs_Hz=30_000)
        >>> sorting.get_unit_spike_train("a").tolist(), sorting.get_property("snr").tolist()
        ([30, 60], [5.0])
        """
        from spikelab.bridges.spikeinterface import to_spikeinterface

        return to_spikeinterface(cast("SpikeData", self), fs_Hz)

    @staticmethod
    def from_neo(
        block_or_segment_or_list: "neo.Block | neo.Segment | Iterable[neo.SpikeTrain]",
    ) -> "SpikeData":
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
        from spikelab.bridges.neo import from_neo

        return from_neo(block_or_segment_or_list)

    @staticmethod
    def from_neo_spiketrains(
        spiketrains: "Iterable[neo.SpikeTrain]", **kwargs: Any
    ) -> "SpikeData":
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
        from spikelab.bridges.neo import from_neo_spiketrains

        return from_neo_spiketrains(spiketrains, **kwargs)

    def to_neo(self) -> "neo.Block":
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
        from spikelab.bridges.neo import to_neo

        return to_neo(cast("SpikeData", self))

    @staticmethod
    def from_pynapple(tsgroup: "pynapple.TsGroup") -> "SpikeData":
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
        from spikelab.bridges.pynapple import from_pynapple

        return from_pynapple(tsgroup)

    def to_pynapple(self) -> "pynapple.TsGroup":
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
        from spikelab.bridges.pynapple import to_pynapple

        return to_pynapple(cast("SpikeData", self))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a DataFrame of pandas with one row per spike, unit after unit.

        Columns are ``unit`` (int64, from 0) and ``time_ms`` (float64).

        Raises
        ------
        MissingExtraError
            Without pandas, of the extra ``pandas``.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[1.5, 2.0], [0.5]]).to_dataframe()
           unit  time_ms
        0     0      1.5
        1     0      2.0
        2     1      0.5
        """
        from spikelab.bridges.pandas import to_dataframe

        return to_dataframe(cast("SpikeData", self))

    def units_dataframe(self) -> "pandas.DataFrame":
        """Return a DataFrame of pandas with one row per unit.

        Columns are ``unit`` (from 0), ``n_spikes``, ``mean_rate_Hz`` (0 if the length
        is 0), and the attributes; one that has the name of these gets ``_attribute``
        behind it. Missing values are pandas' own.

        Raises
        ------
        MissingExtraError
            Without pandas, of the extra ``pandas``.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.5], []], length=500.0, neuron_attributes=[{"snr": 4.5}, {}])
        >>> sd.units_dataframe()
           unit  n_spikes  mean_rate_Hz  snr
        0     0         1           2.0  4.5
        1     1         0           0.0  NaN
        """
        from spikelab.bridges.pandas import units_dataframe

        return units_dataframe(cast("SpikeData", self))

    def add_to_nwbfile(self, nwbfile: "NWBFile") -> "NWBFile":
        """Add the units to an NWB file that is open in pynwb, and return the file.

        Attributes become columns of its units table, waveforms the standard's own ones.
        Write the file afterwards with the object that it was opened with, such as
        ``NWBHDF5IO("session.nwb", "a")`` or ``NWBZarrIO``.

        Parameters
        ----------
        nwbfile : pynwb.NWBFile
            The open file. Electrodes that are there are matched by id; if there is no
            table of electrodes, one is added. Its times count from the start of the
            session, where time 0 of the recording lies, or later by
            ``metadata["time_zero_ms"]``.

        Raises
        ------
        MissingExtraError
            Without pynwb, of the extra ``nwb``.
        ValueError
            If the file has units, or a table of electrodes that lacks one of ours;
            nothing is then added.

        Warns
        -----
        UserWarning
            If an attribute of the units is left out or gets another name, or if the
            session that ``metadata["nwb_session"]`` describes began at another time.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> from pynwb import NWBFile
        >>> from spikelab import SpikeData
        >>> session = NWBFile("open field", "s1", datetime(2024, 5, 17, tzinfo=UTC))
        >>> len(SpikeData([[12.5, 430.0], [77.0]]).add_to_nwbfile(session).units)
        2
        """
        from spikelab.formats.nwb.append import add_to_nwbfile

        return add_to_nwbfile(cast("SpikeData", self), nwbfile)

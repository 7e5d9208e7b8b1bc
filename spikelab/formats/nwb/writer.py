"""The writer of NWB files, its export function, and the reader of what it wrote."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs

from spikelab import checks, comparison, destinations
from spikelab.errors import warn
from spikelab.formats import h5
from spikelab.formats.nwb import columns as nwb_columns
from spikelab.formats.nwb import file as nwb_file
from spikelab.formats.nwb import pairwise as nwb_pairwise
from spikelab.formats.nwb import parts as nwb_parts
from spikelab.formats.nwb import pynwb as nwb_pynwb
from spikelab.formats.nwb import rates as nwb_rates
from spikelab.formats.nwb import reader as nwb_reader
from spikelab.formats.nwb import slices as nwb_slices
from spikelab.formats.nwb import units as nwb_units
from spikelab.formats.nwb.parts import Part
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.formats.reading import RecordingOptions
from spikelab.formats.writer import FileWriter
from spikelab.kinds import Contents, kind_of

_PARTS: dict[str, Part] = {
    part.kind: part
    for part in (
        nwb_parts.Recording(),
        nwb_slices.SpikeSlices(),
        nwb_rates.Rates(),
        nwb_rates.RateSlices(),
        nwb_pairwise.Comparison(),
        nwb_pairwise.Comparisons(),
    )
}


@attrs.frozen(kw_only=True)
class NWBWriter(FileWriter):
    """Write units, their spikes or rates, and what is known about them as NWB 2.

    See :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_nwb` for what
    is written where.

    Parameters
    ----------
    spike_times_dataset, spike_times_index_dataset, group : str
        Names of the spike times, of their index and of the table; with other
        names than NWB's the readers of NWB do not find the units.
    session : NWBSession, optional
        When, where and by whom the recording was made.
    subject : NWBSubject, optional
        The animal or person that was recorded from.
    fs_Hz : float, optional
        Sampling rate, written as the resolution of the spike times.
    """

    method: ClassVar[str] = "to_nwb"

    spike_times_dataset: str = attrs.field(
        default=nwb_units.SPIKE_TIMES, validator=checks.is_dataset_name
    )
    spike_times_index_dataset: str = attrs.field(
        default=nwb_units.SPIKE_TIMES_INDEX, validator=checks.is_dataset_name
    )
    group: str = attrs.field(default=nwb_units.UNITS, validator=checks.is_dataset_name)
    session: NWBSession | None = attrs.field(
        default=None, validator=checks.is_optional_instance(NWBSession)
    )
    subject: NWBSubject | None = attrs.field(
        default=None, validator=checks.is_optional_instance(NWBSubject)
    )
    fs_Hz: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_positive)
    )

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together."""
        names = {
            "spike_times_dataset": self.spike_times_dataset,
            "spike_times_index_dataset": self.spike_times_index_dataset,
        }
        checks.distinct(**names)
        for name, value in names.items():
            if value.split("/")[0] in nwb_units.OTHERS:
                raise ValueError(
                    f"{name} must not be one of {sorted(nwb_units.OTHERS)}, got {value!r}"
                )
        if self.group.split("/")[0] in nwb_file.MEMBERS:
            raise ValueError(
                f"group must not lie in a part of the file with another meaning "
                f"({', '.join(sorted(nwb_file.MEMBERS))}), got {self.group!r}"
            )
        self._check_birth()

    def _check_birth(self) -> None:
        born = self.subject.date_of_birth if self.subject else None
        if born and self.session and born > self.session.session_start_time:
            raise ValueError(
                f"date_of_birth must not be after session_start_time, "
                f"got {born} and {self.session.session_start_time}"
            )

    def _table(self, attributes: nwb_units.Attributes) -> nwb_units.UnitsTable:
        return nwb_units.UnitsTable(
            group=self.group,
            spike_times_dataset=self.spike_times_dataset,
            spike_times_index_dataset=self.spike_times_index_dataset,
            fs_Hz=self.fs_Hz,
            electrode_location=self.session.electrode_location
            if self.session
            else None,
            attributes=attributes,
        )

    def _prepare(self, obj: Any) -> nwb_units.UnitsTable:
        """Return the table of the units."""
        part = _part(obj)
        part.check(obj)
        table = self._table(part.attributes(obj))
        for caution in table.cautions(part.recording(obj)):
            warn(caution)
        return table

    def _losses(self, obj: Any) -> list[str]:
        part = _part(obj)
        return self._table(part.attributes(obj)).losses() + part.losses(obj)

    def _write(self, obj: Any, path: Path, prepared: nwb_units.UnitsTable) -> None:
        part = _part(obj)
        identifier = self._identifier(part, obj, prepared)
        with h5.created(path) as file:
            nwb_file.start(file, identifier, self.session, self.subject)
            file.attrs["kind"] = part.kind
            part.write(file, obj, prepared)

    def _identifier(self, part: Part, obj: Any, table: nwb_units.UnitsTable) -> str:
        """Return what the user says, or a text made from all that is written."""
        if self.session and self.session.identifier:
            return self.session.identifier
        content = [nwb_units.row_ids(table.attributes or [])]
        for column in table.columns.stored:
            content += column.content()
        known = [nwb_rates.identifier_of(*content), part.identifier(obj)]
        known += [nwb_file.described(self.session), nwb_file.described(self.subject)]
        return nwb_file.identifier(repr(known))

    def _read_back(self, path: Path) -> Contents:
        return read(path)

    def _found_wrong(self, obj: Any, staged: Path, prepared: Any) -> list[str]:
        with h5.opened(staged) as file:
            beside = _part(obj).found_wrong(file, obj)
        return super()._found_wrong(obj, staged, prepared) + beside

    def _differences(self, obj: Any, contents: Contents) -> list[str]:
        part = _part(obj)
        expected_kind = part.kind if part.is_read else "SpikeData"
        if contents.kind != expected_kind:
            return [f"the file is read as a {contents.kind}, not a {expected_kind}"]
        found = part.differences(obj, contents)
        read = contents.arguments.get("neuron_attributes") or []
        attributes = part.attributes(obj) or [{}] * len(read)
        expected: list[dict[str, Any]] = [
            {"unit_id": number} for number in nwb_units.row_ids(attributes).tolist()
        ]
        nwb_columns.to_attributes(self._table(attributes).columns.stored, expected)
        if len(read) != len(expected):
            return [*found, f"attributes of {len(read)} units were read"]
        for unit, (wanted, got) in enumerate(zip(expected, read, strict=True)):
            wrong = [
                key
                for key in {**wanted, **got}
                if key not in got
                or not comparison.same(wanted.get(key, nwb_columns.MISSING), got[key])
            ]
            if wrong:
                found.append(f"unit {unit}: attributes {wrong} differ")
        return found


def _part(obj: Any) -> Part:
    return _PARTS[kind_of(obj)]


def export_spikedata_to_nwb(
    sd: Any,
    filepath: str | os.PathLike[str],
    *,
    spike_times_dataset: str = "spike_times",
    spike_times_index_dataset: str = "spike_times_index",
    group: str = "units",
    session: NWBSession | None = None,
    subject: NWBSubject | None = None,
    fs_Hz: float | None = None,
    verify: bool = False,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Write a data object, and what is known about its units, as an NWB 2 file.

    Parameters
    ----------
    sd : data object
        A SpikeData or one of the other five classes.
    filepath : path or S3 URL
        The file; replaced if it exists.
    spike_times_dataset, spike_times_index_dataset : str
        Names of the spike times and of their index in the table.
    group : str
        Name of the table. With other names than NWB's own, the readers of NWB
        do not find the units, which a warning says.
    session : NWBSession, optional
        When, where and by whom the recording was made. Without it the start of
        the session is 1970-01-01, which the session's description says is a
        placeholder.
    subject : NWBSubject, optional
        The animal or person that was recorded from.
    fs_Hz : float, optional
        Sampling rate in Hz. It becomes the resolution of the spike times,
        from which SpikeInterface takes its sampling rate.
    verify : bool
        Read the file back and compare, before it replaces an earlier one.
    strict : bool
        Raise an error if the file cannot carry all that the object holds.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.

    Returns
    -------
    str
        `filepath`.

    Warns
    -----
    UserWarning
        If an attribute of the units is left out or gets another name, if the
        readers of NWB will not find the units, or if spike times are negative.

    Raises
    ------
    TypeError
        If `sd` is not a data object that this format can hold, or an option is
        of the wrong type.
    ValueError
        If an option is wrong.
    OSError
        If the file cannot be written; an earlier one is then as it was.

    Notes
    -----
    In the file, times are in seconds, float64, but for two attributes of the root.

    ``/`` attributes ``start_time``, ``length_ms``
        The recording window in ms.
    ``units/id``
        int64 (N,): the attribute ``unit_id``, if it numbers the units, or 0 to
        N - 1. Units without one, among others that have it, get a free number.
    ``units/spike_times``, ``units/spike_times_index``
        All times, unit after unit, and for each unit where they end.
    ``units/obs_intervals``
        (N, 2): the recording window, once for each unit.
    ``units/electrodes``
        Rows of ``general/extracellular_ephys/electrodes``, for units with an
        attribute ``electrode``, ``channel`` or ``ch``.
    ``units/<key>``
        Each key of ``neuron_attributes`` whose values are all numbers, all
        truth values, all text, or arrays of one of these. Where a unit has no
        value, the column holds NaN, an empty text or an empty row.

    The other classes:

    ``SpikeSliceStack``
        The spikes of all slices in the time of the recording, each once, as above;
        the windows in ``intervals/trials``, with ``event_time`` if the slices count
        from an event. The file is read as a SpikeData.
    ``RateData``, ``RateSliceStack``
        ``processing/ecephys/firing_rates``, a TimeSeries of shape (times, N); the
        Units table without spikes. The windows are trials, and each refers to its
        rows of the series.
    ``PairwiseCompMatrix``, ``PairwiseCompMatrixStack``
        ``processing/ecephys/pairwise_comparison``, a table with one row per unit:
        ``label`` and ``comparison``, (N, N) or (N, N, S). The windows are trials.

    The creation date is ``SOURCE_DATE_EPOCH`` if that is set; then the same
    recording and session give the same bytes.
    """
    writer = NWBWriter(
        spike_times_dataset=spike_times_dataset,
        spike_times_index_dataset=spike_times_index_dataset,
        group=group,
        session=session,
        subject=subject,
        fs_Hz=fs_Hz,
        verify=verify,
        strict=strict,
        storage_options=storage_options,
        progress=progress,
    )
    return writer.write(sd, filepath)


def is_nwb(path: Path) -> bool:
    """Tell whether an HDF5 file is an NWB file, or one as spikelab 0.1 wrote it."""
    with h5.opened(path) as file:
        if "nwb_version" in file.attrs:
            return True
        units_as_in_nwb = all(
            h5.has_member(file, f"{nwb_units.UNITS}/{name}")
            for name in ("id", nwb_units.SPIKE_TIMES, nwb_units.SPIKE_TIMES_INDEX)
        )
        return units_as_in_nwb and "style" not in file.attrs


def read(
    filepath: str | os.PathLike[str],
    *,
    prefer_pynwb: bool = True,
    length_ms: float | None = None,
    start_time_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Contents:
    """Read the units of an NWB file, or the rates or comparison that spikelab wrote.

    Each unit's dictionary in ``neuron_attributes`` holds its ``unit_id`` and
    the columns of the Units table. In files of other programs it also holds
    the id of its first electrode as ``electrode``, and that electrode's
    coordinates as ``location``.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    prefer_pynwb : bool
        Find the units of other programs' files with pynwb, if that is
        installed (``pip install 'spikelab[nwb]'``) and the file does not lead
        to other files. Otherwise, and if pynwb fails, they are found with
        h5py; the result is the same.
    length_ms, start_time_ms : float, optional
        The recording window in ms. By default what the file tells: its
        attributes, or the intervals in which the units were observed; if it
        tells nothing, from 0, or the first spike if that is negative, to the
        last spike.
    metadata : mapping, optional
        Metadata of the recording; ``source_file``, ``format`` and, if known,
        ``fs_Hz`` are added.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.

    Returns
    -------
    SpikeData
        The recording. :func:`spikelab.load` takes files of other classes too.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file has no units, or is damaged.
    """
    recording = RecordingOptions(
        start_time_ms=start_time_ms, length_ms=length_ms, metadata=metadata
    )
    with destinations.local_copy(filepath, storage_options, progress=progress) as path:
        found = _read(path, prefer_pynwb, start_time_ms, length_ms)
    return recording.described(found, source_file=os.fspath(filepath))


def _read(
    path: Path, prefer_pynwb: bool, start_time_ms: float | None, length_ms: float | None
) -> Contents:
    with h5.opened(path) as file:
        part = _PARTS.get(str(h5.scalar_attributes(file).get("kind")))
        if part is not None and part.is_read:
            attributes = nwb_reader.attributes_in(file)
            return Contents(part.kind, {**part.read(file), **attributes})
        if not (prefer_pynwb and nwb_pynwb.is_suited(file)):
            return nwb_reader.contents(nwb_reader.find(file), start_time_ms, length_ms)
        # pynwb raises anything about a file that it does not like, and closes it.
        with contextlib.suppress(Exception), nwb_pynwb.found(file) as found:
            return nwb_reader.contents(found, start_time_ms, length_ms)
    return _read(path, False, start_time_ms, length_ms)

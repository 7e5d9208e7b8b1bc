"""What a KiloSort or Phy folder tells about its units beside their spikes."""

from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats.phy import cluster_tables, npy, template_reader
from spikelab.formats.phy.cluster_tables import UNSORTED, Table, TableColumn
from spikelab.formats.phy.facts import SI_UNIT_ID, Facts
from spikelab.formats.phy.params import PARAMS_FILE
from spikelab.formats.phy.templates import Placed
from spikelab.formats.phy.unit_columns import add_cells
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import UnitTable

_ID_COLUMNS = (SI_UNIT_ID, "unit_id")
"""The columns by which other programs number the units."""

Rows = list[dict[str, Any]]
"""The attributes of each unit."""


@attrs.frozen(eq=False)
class Units:
    """The units of a folder.

    Parameters
    ----------
    ids : tuple of int
        The cluster of each unit.
    exported : dict of int
        Position in the export of each cluster that is still what it was. Phy may have
        given the number of a silent unit to a cluster that it made.
    clusters : ndarray of int64, shape (spikes,)
        The cluster of each spike.
    rows : ndarray, shape (spikes,)
        The unit of each spike, a position in `ids`.
    trains : SpikeTrains
        The spike times.
    """

    ids: tuple[int, ...]
    exported: dict[int, int]
    clusters: NDArray[np.int64]
    rows: NDArray[Any]
    trains: SpikeTrains


@attrs.frozen(eq=False)
class FolderAttributes:
    """One way to read what a folder tells about its units.

    Parameters
    ----------
    folder : Path
        The folder.
    facts : Facts
        What spikelab wrote about it.
    units : Units
        Its units.
    table : dict
        All columns of its tables.
    """

    folder: Path
    facts: Facts
    units: Units
    table: Table

    def read(self, channel_map: str, channel_positions: str) -> Rows:
        """Return the attributes of each unit.

        Parameters
        ----------
        channel_map, channel_positions : str
            Names of the arrays of electrodes and of positions.
        """
        electrodes = positions = None
        with npy.leaving_out():
            electrodes = npy.read_whole(self.folder / channel_map)
        with npy.leaving_out():
            positions = _positions(self.folder / channel_positions)
        rows: Rows = [{"unit_id": unit_id} for unit_id in self._unit_ids()]
        self._add_cells(rows)
        if self.facts.format == "kilosort":
            # Here the arrays have an entry for each unit, not for each channel.
            peaks = [self.units.exported.get(i, -1) for i in self.units.ids]
        else:
            n_channels = None if electrodes is None else len(electrodes)
            found = self._templates(n_channels)
            peaks = [peak for peak, _ in found]
            for row, (_, placed) in zip(rows, found, strict=True):
                if placed is not None:
                    self._add_waveform(row, *placed, electrodes)
            self._add_amplitudes(rows)
        self._add_channels(rows, peaks, electrodes, positions)
        return rows

    def _unit_ids(self) -> list[Any]:
        """Return the id of each unit; one that has none gets a new one.

        No two units get the same: of halves of a cluster that was split, neither has
        the id that Phy copied to both.
        """
        facts, exported = self.facts, self.units.exported
        column = next((c for c in _ID_COLUMNS if c in self.table), "")
        cells = self.table.get(column, {})
        wanted = {i: _as_id(cells[i]) for i in self.units.ids if i in cells}
        if facts.format is not None:
            written = facts.column(SI_UNIT_ID)
            numbers = map(_as_id, written.cells) if written else facts.cluster_ids
            names = dict(zip(numbers, facts.unit_ids, strict=True))
            wanted = {i: names.get(unit_id) for i, unit_id in wanted.items()}
            wanted |= {i: facts.unit_ids[position] for i, position in exported.items()}
        times = Counter(wanted.values())
        twice = [
            unit_id for unit_id, n in times.items() if n > 1 and unit_id is not None
        ]
        if twice:
            warn(
                f"{self.folder}: unit_id {', '.join(map(str, twice[:10]))} stands for "
                f"several clusters in the column {column}; they get new ids"
            )
        known = {
            i: unit_id
            for i, unit_id in wanted.items()
            if unit_id is not None and (unit_id not in twice or i in exported)
        }
        used = set(known.values())
        for i in self.units.ids:
            if i not in known:
                new: int | str = i
                if new in used:
                    new = max([-1, *(u for u in used if isinstance(u, int))]) + 1
                known[i] = str(new) if any(isinstance(u, str) for u in used) else new
                used.add(known[i])
        return [known[i] for i in self.units.ids]

    def _add_cells(self, rows: Rows) -> None:
        """Add the cells of all columns, those that were exported first."""
        columns = {column.name: column for column in self.facts.columns}
        for name in self.table:
            if name not in (*_ID_COLUMNS, *columns):
                columns[name] = TableColumn(name, name, "", ())
        add_cells(rows, [(c, self._cells(c)) for c in columns.values()])

    def _cells(self, column: TableColumn) -> list[str]:
        """Return the cell of each unit; Phy drops those of silent ones when it saves."""
        found, cells = self.table.get(column.name, {}), []
        for cluster in self.units.ids:
            position = self.units.exported.get(cluster)
            exported = ""
            if position is not None and column.cells:
                exported = column.cells[position]
            cell = found.get(cluster)
            if cell is None:
                is_silent = self.facts.counts.get(cluster) == 0
                cell = exported if is_silent else ""
            elif column.kind == "label" and cell == UNSORTED and not exported:
                cell = ""
            elif cluster_tables.are_same(cell, exported):
                cell = exported
            cells.append(cell)
        return cells

    def _templates(self, n_channels: int | None) -> list[tuple[int, Placed | None]]:
        """Return the peak channel of each unit, and its mean waveform."""
        units = self.units
        placeholders = self.facts.placeholders if self.facts.format else None
        templates = template_reader.read_templates(
            self.folder, n_channels, placeholders
        )
        if templates is None:
            # Exporters that write no params.py write an entry for each cluster too.
            tells = not (self.folder / PARAMS_FILE).exists()
            return [(i if tells else -1, None) for i in units.ids]
        n = len(templates.data)
        # Without spikes, or the templates of these, the one with the cluster's number.
        mixtures = [{i: 1} if 0 <= i < n else {} for i in units.ids]
        used = template_reader.spike_templates(self.folder, len(units.clusters), n)
        if used is not None and not np.array_equal(used, units.clusters):
            counted: list[dict[int, int]] = [{} for _ in units.ids]
            for pair, count in npy.counted(units.rows * n + used).items():
                counted[pair // n][pair % n] = count
            mixtures = [
                mixture or own for mixture, own in zip(counted, mixtures, strict=True)
            ]
        return [templates.of_unit(mixture) for mixture in mixtures]

    def _add_waveform(
        self,
        row: dict[str, Any],
        waveform: NDArray[np.float32],
        where: NDArray[np.int64],
        electrodes: NDArray[np.int64] | None,
    ) -> None:
        """Add a mean waveform and the electrodes of its columns."""
        row["waveform_mean"] = waveform
        if electrodes is not None and np.all(where < len(electrodes)):
            where = electrodes[where]
        elif electrodes is not None:
            return
        if self.facts.waveform_channels:
            row["waveform_channels"] = np.array(where)

    def _add_channels(
        self,
        rows: Rows,
        peaks: list[int],
        electrodes: NDArray[np.int64] | None,
        positions: NDArray[Any] | None,
    ) -> None:
        """Add the electrode and the location of the channel on which each unit is."""
        known = UnitTable(rows, len(rows)).electrodes
        exported: dict[int, int] = {}
        if self.facts.format == "phy":
            # Phy needs channels and positions also where the export knew none.
            exported = self.units.exported
            of_export = [u for u, i in enumerate(self.units.ids) if i in exported]
            if not all(type(known[unit]) is int for unit in of_export):
                electrodes = None
            if not all(_has_location(rows[unit]) for unit in of_export):
                positions = None
        for i, row, electrode, channel in zip(
            self.units.ids, rows, known, peaks, strict=True
        ):
            if i in exported:
                continue
            if electrode is None and electrodes is not None:
                if 0 <= channel < len(electrodes):
                    row["electrode"] = int(electrodes[channel])
            elif electrode is not None:
                row["electrode"] = electrode
                if type(electrode) is int and electrodes is not None:
                    matching = np.flatnonzero(electrodes == electrode)
                    channel = int(matching[0]) if matching.size else channel
            if positions is None or not 0 <= channel < len(positions):
                continue
            place = positions[channel].astype(float)
            if not _has_location(row) and np.isfinite(place).all():
                row["location"] = place.tolist()

    def _add_amplitudes(self, rows: Rows) -> None:
        """Add the amplitude of each spike, in the order of the unit's spikes."""
        units = self.units
        with npy.leaving_out():
            found = npy.read_column(self.folder / "amplitudes.npy", len(units.clusters))
            of_units = SpikeTrains.from_pairs(units.rows, np.array(found), len(rows))
            for row, times, values in zip(rows, units.trains, of_units, strict=True):
                if np.any(times[1:] < times[:-1]):
                    values = values[np.argsort(times, kind="stable")]
                row["amplitudes"] = values


def _as_id(text: str) -> int | str | None:
    """Return the id in a cell: an int, also of "3.0", or a str."""
    number = cluster_tables.whole_number(text)
    if number is not None:
        return number
    return None if text.strip().lower() in ("", "nan") else text


def _positions(path: Path) -> NDArray[Any]:
    found = npy.read(path, ndim=2)
    if not 1 <= found.shape[1] <= 3:
        raise FormatError(f"{path} must have shape (channels, 2), got {found.shape}")
    return found


def _has_location(row: dict[str, Any]) -> bool:
    return not row.keys().isdisjoint(("location", "position", "x"))

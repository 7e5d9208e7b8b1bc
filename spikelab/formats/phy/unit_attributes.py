"""What a KiloSort or Phy folder tells about its units beside their spikes."""

from collections import Counter
from collections.abc import Mapping
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
from spikelab.formats.phy.unit_columns import location
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import UnitTable

_ID_COLUMNS = (SI_UNIT_ID, "unit_id")
"""The columns by which other programs number the units."""


@attrs.frozen(eq=False)
class Units:
    """The units of a folder.

    Parameters
    ----------
    ids : tuple of int
        The cluster of each unit.
    clusters : ndarray of int64, shape (spikes,)
        The cluster of each spike.
    rows : ndarray, shape (spikes,)
        The unit of each spike, a position in `ids`.
    trains : SpikeTrains
        The spike times.
    """

    ids: tuple[int, ...]
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

    @property
    def exported(self) -> dict[int, int]:
        """Position in the export of each cluster that is still what it was.

        Phy may have given the number of a silent unit to a cluster that it made.
        """
        pairs = zip(self.facts.cluster_ids, self.facts.spike_counts, strict=True)
        counts = dict(zip(self.units.ids, self.units.trains.counts, strict=True))
        return {
            cluster: position
            for position, (cluster, count) in enumerate(pairs)
            if cluster in counts and (count > 0) == (counts[cluster] > 0)
        }

    def read(self, channel_map: str, channel_positions: str) -> list[dict[str, Any]]:
        """Return the attributes of each unit.

        Parameters
        ----------
        channel_map, channel_positions : str
            Names of the arrays of electrodes and of positions.
        """
        exported = self.exported
        rows: list[dict[str, Any]] = [
            {"unit_id": unit_id} for unit_id in self._unit_ids(exported)
        ]
        self._add_cells(rows, exported)
        self._add_templates(rows, exported, channel_map, channel_positions)
        self._add_amplitudes(rows)
        return rows

    def _unit_ids(self, exported: Mapping[int, int]) -> list[Any]:
        """Return the id of each unit; one that has none gets a new one.

        No two units get the same: of halves of a cluster that was split, neither has
        the id that Phy copied to both.
        """
        facts, column = (
            self.facts,
            next((c for c in _ID_COLUMNS if c in self.table), ""),
        )
        cells = self.table.get(column, {})
        wanted = {i: _as_id(cells[i]) for i in self.units.ids if i in cells}
        if facts.format is not None:
            written = facts.column(SI_UNIT_ID)
            numbers = map(_as_id, written.cells) if written else facts.cluster_ids
            names = dict(zip(numbers, facts.unit_ids, strict=True))
            wanted = {i: names.get(unit_id) for i, unit_id in wanted.items()}
            wanted |= {i: facts.unit_ids[position] for i, position in exported.items()}
        times = Counter(unit_id for unit_id in wanted.values() if unit_id is not None)
        twice = [unit_id for unit_id, n in times.items() if n > 1]
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
                    new = max((u for u in used if isinstance(u, int)), default=-1) + 1
                known[i] = str(new) if any(isinstance(u, str) for u in used) else new
                used.add(known[i])
        return [known[i] for i in self.units.ids]

    def _add_cells(
        self, rows: list[dict[str, Any]], exported: Mapping[int, int]
    ) -> None:
        """Add the cells of all columns, and put coordinates together again."""
        places: dict[str, list[tuple[TableColumn, list[str]]]] = {}
        exported_columns = {column.name: column for column in self.facts.columns}
        for name in dict.fromkeys([*exported_columns, *self.table]):
            if name in _ID_COLUMNS and name not in exported_columns:
                continue
            column = exported_columns.get(name) or TableColumn(name, name, "", ())
            cells = [self._cell(column, i, exported.get(i)) for i in self.units.ids]
            if column.kind == "coordinate":
                places.setdefault(column.attribute, []).append((column, cells))
            elif column.kind != "id":
                for row, cell in zip(rows, cells, strict=True):
                    if cell:
                        row[column.attribute] = column.value(cell)
        for attribute, parts in places.items():
            for row, *texts in zip(rows, *(cells for _, cells in parts), strict=True):
                place = location(texts, parts[0][0].container)
                if place is not None:
                    row[attribute] = place

    def _cell(self, column: TableColumn, cluster: int, position: int | None) -> str:
        """Return the cell of a unit; Phy drops those of silent ones when it saves."""
        exported = (
            column.cells[position] if column.cells and position is not None else ""
        )
        cell = self.table.get(column.name, {}).get(cluster)
        if cell is None:
            return exported if cluster in self.facts.silent else ""
        if column.kind == "label" and cell == UNSORTED and not exported:
            return ""
        return exported if cluster_tables.are_same(cell, exported) else cell

    def _add_templates(
        self,
        rows: list[dict[str, Any]],
        exported: Mapping[int, int],
        channel_map: str,
        channel_positions: str,
    ) -> None:
        """Add mean waveforms, and the electrodes and locations that they tell."""
        folder, is_phy = self.folder, self.facts.format == "phy"
        electrodes = npy.read_optional(folder / channel_map, npy.read_whole)
        positions = npy.read_optional(folder / channel_positions, _coordinates)
        found = self._templates(exported, electrodes)
        table = UnitTable(rows, len(rows))
        numbers = electrodes
        if is_phy:
            # Phy needs channels and positions also where the export knew none.
            known = [unit for unit, i in enumerate(self.units.ids) if i in exported]
            if not all(type(table.electrodes[unit]) is int for unit in known):
                numbers = None
            if not all(_has_location(rows[unit]) for unit in known):
                positions = None
        for unit, (row, (channel, waveform, where)) in enumerate(
            zip(rows, found, strict=True)
        ):
            if not (is_phy and self.units.ids[unit] in exported):
                channel = _add_electrode(row, table.electrodes[unit], channel, numbers)
                _add_location(row, channel, positions)
            if waveform is not None:
                row["waveform_mean"] = waveform
                of_columns = _numbers(where, electrodes)
                if self.facts.waveform_channels and of_columns is not None:
                    row["waveform_channels"] = of_columns

    def _templates(
        self, exported: Mapping[int, int], electrodes: NDArray[np.int64] | None
    ) -> list[Any]:
        """Return peak channel, waveform and channels of its columns of each unit."""
        units, facts = self.units, self.facts
        nothing = np.empty(0, dtype=np.int64)
        if facts.format == "kilosort":
            # Here the arrays have an entry for each unit, not for each channel.
            return [(exported.get(i, -1), None, nothing) for i in units.ids]
        placeholders = facts.placeholders if facts.format == "phy" else None
        n_channels = None if electrodes is None else len(electrodes)
        templates = template_reader.read_templates(
            self.folder, n_channels, placeholders
        )
        if templates is not None:
            mixtures = template_reader.mixtures(
                self.folder, units.clusters, units.ids, units.rows, len(templates.data)
            )
            return templates.of_units(mixtures)
        # Exporters that write no params.py write an entry for each cluster too.
        tells = not (self.folder / PARAMS_FILE).exists()
        return [(i if tells else -1, None, nothing) for i in units.ids]

    def _add_amplitudes(self, rows: list[dict[str, Any]]) -> None:
        """Add the amplitude of each spike, in the order of the unit's spikes."""
        clusters = self.units.clusters

        def per_spike(path: Path) -> NDArray[Any]:
            found = npy.read_column(path)
            if found.shape != clusters.shape:
                raise FormatError(
                    f"{path} must hold one value for each of {len(clusters)} spikes, "
                    f"got {len(found)}"
                )
            return np.array(found)

        found = npy.read_optional(self.folder / "amplitudes.npy", per_spike)
        if found is None or self.facts.format == "kilosort":
            return
        of_units = SpikeTrains.from_pairs(self.units.rows, found, len(rows))
        for row, times, values in zip(rows, self.units.trains, of_units, strict=True):
            if np.any(times[1:] < times[:-1]):
                values = values[np.argsort(times, kind="stable")]
            row["amplitudes"] = values


def _as_id(text: str) -> int | str | None:
    """Return the id in a cell: an int, also of "3.0", or a str."""
    number = cluster_tables.number(text.strip())
    if number is not None and float(number).is_integer():
        return int(number)
    return None if text.strip().lower() in ("", "nan") else text


def _coordinates(path: Path) -> NDArray[Any]:
    found = npy.read(path, ndim=2)
    if not 1 <= found.shape[1] <= 3:
        raise FormatError(f"{path} must have shape (channels, 2), got {found.shape}")
    return found


def _has_location(row: Mapping[str, Any]) -> bool:
    return any(key in row for key in ("location", "position", "x"))


def _add_electrode(
    row: dict[str, Any], known: Any, channel: int, electrodes: NDArray[np.int64] | None
) -> int:
    """Add the electrode, or return the channel of the one that is already known."""
    if known is not None:
        row["electrode"] = known
        if type(known) is int and electrodes is not None:
            matching = np.flatnonzero(electrodes == known).tolist()
            return int(matching[0]) if matching else channel
    elif electrodes is not None and 0 <= channel < len(electrodes):
        row["electrode"] = int(electrodes[channel])
    return channel


def _add_location(
    row: dict[str, Any], channel: int, positions: NDArray[Any] | None
) -> None:
    """Add the location of a channel, if it is known and the unit has none."""
    if positions is None or _has_location(row) or not 0 <= channel < len(positions):
        return
    place = positions[channel].astype(float)
    if np.all(np.isfinite(place)):
        row["location"] = place.tolist()


def _numbers(
    where: NDArray[np.int64], electrodes: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """Return the electrodes of channels, None if the channel map lacks one."""
    if electrodes is None:
        return where
    return np.array(electrodes[where]) if np.all(where < len(electrodes)) else None

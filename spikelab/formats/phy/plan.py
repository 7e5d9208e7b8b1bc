"""What a Phy folder will hold of a recording."""

from collections.abc import Sequence
from typing import Any

import attrs
from numpy.typing import NDArray

from spikelab.formats.phy import templates
from spikelab.formats.phy.channels import Channels
from spikelab.formats.phy.raw import Raw
from spikelab.formats.phy.templates import Templates
from spikelab.formats.phy.unit_columns import UnitColumns
from spikelab.spikedata.unit_table import UnitTable


@attrs.frozen(eq=False)
class Plan:
    """What a Phy folder will hold of a recording.

    Parameters
    ----------
    clusters : list of int
        Cluster of each unit.
    first_sample : int
        Sample number that becomes 0.
    raw : Raw or None
        The raw data, if they are sampled as the spikes are.
    source : {"neuron_attributes", "raw_data", "placeholder"}
        Where the templates come from.
    templates : Templates
        The mean waveforms in the attributes.
    channels : Channels
        The channels.
    amplitudes : list of ndarray or None
        Amplitude of each spike of each unit, if all are known.
    columns : UnitColumns
        What stands in tables.
    taken : list
        The attributes that stand in arrays.
    """

    clusters: list[int]
    first_sample: int
    raw: Raw | None
    source: str
    templates: Templates
    channels: Channels
    amplitudes: list[NDArray[Any]] | None
    columns: UnitColumns
    taken: list[Any]

    @property
    def lists_channels(self) -> bool:
        """Whether the channels of the columns of templates are known."""
        return bool(self.templates.listed or self.source == "raw_data")

    def losses_of_templates(
        self, table: UnitTable, read: Sequence[dict[str, Any]]
    ) -> list[str]:
        """Return in words what the folder does not show of templates and channels."""
        known, n_channels = self.templates, len(self.channels)
        lost = []
        if self.source == "placeholder":
            lost.append("templates are not known: flat placeholders")
        if known.key is not None:
            if missing := sum(w is None for w in known.waveforms):
                lost.append(
                    f"templates of {missing} units are not known: flat placeholders"
                )
            pairs = zip(known.waveforms, known.electrodes, strict=True)
            if any(
                w is not None and e is None and w.shape[1] not in (1, n_channels)
                for w, e in pairs
            ):
                lost.append("templates on other than their largest channel")
        if self.channels.n_placed and self.channels.n_placed < n_channels:
            unplaced = n_channels - self.channels.n_placed
            lost.append(
                f"places of {unplaced} channels are not known: above the others"
            )
        if known.key is not None:
            lost += templates.losses_of_values(table.columns[known.key], read)
        return lost

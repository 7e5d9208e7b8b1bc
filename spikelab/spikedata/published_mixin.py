"""Methods of spikelab 0.1.2, under the names that they have there."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import neo

    from spikelab.spikedata.spikedata import SpikeData


class PublishedMixin:
    """Methods of a recording that do what they do in spikelab 0.1.2."""

    @staticmethod
    def from_neo_spiketrains(
        spiketrains: "Iterable[neo.SpikeTrain]", **kwargs: Any
    ) -> "SpikeData":
        """Make a recording of the times of spike trains of neo, as spikelab 0.1.2 does.

        :meth:`from_neo` takes windows and annotations too.

        Parameters
        ----------
        spiketrains : iterable of SpikeTrain
            One for each unit; times are converted by their unit.
        **kwargs
            Further arguments of :class:`.SpikeData`.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> import neo
        >>> trains = [neo.SpikeTrain([0.5], units="s", t_stop=2.0)]
        >>> SpikeData.from_neo_spiketrains(trains, length=900.0).train[0].tolist()
        [500.0]
        """
        from spikelab.bridges.published import from_neo_spiketrains

        return from_neo_spiketrains(spiketrains, **kwargs)

    def concatenate_spike_data(self, sd: "SpikeData") -> "SpikeData":
        """Return the units of both recordings side by side, over the window of this one.

        Of equal keys in metadata those of `sd` count; raw data is that of this one.

        Parameters
        ----------
        sd : SpikeData
            Units to add, cut to the window of this recording.

        Raises
        ------
        ValueError
            If `sd` does not cover the window.

        Warns
        -----
        RuntimeWarning
            If only one recording has attributes, which are then left out.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0]], length=5.0)
        >>> sd.concatenate_spike_data(SpikeData([[2.0, 7.0]], length=9.0)).N
        2
        """
        from spikelab.bridges.published import concatenate_spike_data

        return concatenate_spike_data(cast("SpikeData", self), sd)

    def channel_raster(
        self, bin_size: float = 1.0, channel_attr: str | None = None
    ) -> NDArray[np.int64]:
        """Count the spikes on each channel in each bin, those of all its units together.

        Parameters
        ----------
        bin_size : float
            Width of a bin in ms; bins are those of :meth:`.SpikeData.raster`.
        channel_attr : str, optional
            The attribute that holds the channel, by default ``channel``,
            ``channel_id``, ``channel_index``, ``ch`` or ``electrode``. Units without
            it are left out.

        Returns
        -------
        ndarray
            Counts, int64, shape (channels, bins), channels in ascending order.

        Raises
        ------
        ValueError
            If no unit has a channel.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> known = [{"channel": 3}, {"channel": 1}, {"channel": 3}]
        >>> sd = SpikeData([[1.0], [2.0], [3.0]], length=4.0, neuron_attributes=known)
        >>> sd.channel_raster(bin_size=2.0).tolist()
        [[1, 0], [1, 1]]
        """
        from spikelab.bridges.published import channel_raster

        return channel_raster(cast("SpikeData", self), bin_size, channel_attr)

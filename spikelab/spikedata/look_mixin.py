"""Summaries and pictures as methods of the data classes."""

from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spikelab.spikedata.data_object import DataObject


class LookMixin:
    """Methods that show a data object: in a line, as text, as HTML, as a picture.

    :mod:`spikelab.look` is imported when it is first used: it imports the data classes,
    and matplotlib only to draw.
    """

    def __repr__(self) -> str:
        from spikelab.look.facts import one_line

        return one_line(cast("DataObject", self))

    def summary(self) -> str:
        """Return what the object holds, as text for a terminal of 80 columns.

        Numbers of units and spikes, the window, rates, attributes with the number of
        units that have them, the first units, and metadata.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> print(SpikeData([[12.5, 430.0], []], length=1000.0).summary())
        SpikeData
          Units       2, 1 of them silent
          Spikes      2
          Window      0.0 to 1000.0 ms (1 s)
          Mean rates  0 to 2 Hz, median 1
        <BLANKLINE>
        Units (2)
          unit  spikes  rate (Hz)
          0     2       2
          1     0       0
        """
        from spikelab.look.facts import summary

        return summary(cast("DataObject", self))

    def _repr_html_(self) -> str:
        """Return the summary as HTML, which notebooks show."""
        from spikelab.look.pages import fragment

        return fragment(cast("DataObject", self))

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        time_unit: Literal["ms", "s"] | None = None,
        **kw: Any,
    ) -> "Axes":
        """Draw the object with matplotlib.

        - Spikes are a raster: a mark for each spike, or from 50,000 on an image of
          the rate of each unit.
        - Slices of spikes are rasters with a row for each slice of each unit, or,
          if these are too many, an image of the mean rate over the slices. The event,
          if the slices have one, is a dashed line at 0.
        - Rates of up to six units are lines, of more an image. Those of slices are the
          mean over the slices.
        - A comparison is an image with the labels of the units. A stack of
          comparisons has a row for each pair of units, a column for each window.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default in a new figure.
        time_unit : {"ms", "s"}, optional
            Unit of the time axis; by default s for 10 s and more.
        **kw
            Further arguments of what draws: :meth:`matplotlib.axes.Axes.plot` for
            marks and lines, :meth:`matplotlib.axes.Axes.pcolorfast` for images.

        Returns
        -------
        matplotlib.axes.Axes
            Where it was drawn.

        Raises
        ------
        MissingExtraError
            If matplotlib, of the extra ``plot``, is not installed.
        ValueError
            If `time_unit` is neither.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> ax = SpikeData([[12.5, 430.0], [77.0]], length=1000.0).plot(color="black")
        >>> ax.get_xlabel()
        'Time (ms)'
        """
        from spikelab.look.plots import plot

        return plot(cast("DataObject", self), ax, time_unit, **kw)

"""Summaries and pictures as methods of the data classes."""

from typing import TYPE_CHECKING

from spikelab.spikedata.lazy_method import LazyMethod

if TYPE_CHECKING:
    from spikelab.look import facts, pages, plots


class LookMixin:
    """Methods that show a data object: in a line, as text, as HTML, as a picture."""

    if TYPE_CHECKING:
        __repr__ = facts.one_line
        summary = facts.summary
        _repr_html_ = pages.fragment
        plot = plots.plot
    else:
        __repr__ = LazyMethod("spikelab.look.facts", "one_line")
        summary = LazyMethod("spikelab.look.facts", "summary")
        _repr_html_ = LazyMethod("spikelab.look.pages", "fragment")
        plot = LazyMethod("spikelab.look.plots", "plot")

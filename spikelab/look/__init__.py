"""Look at data objects and files: summaries, HTML, pictures, pages."""

from spikelab.look.pages import index_page, show

__all__ = ["index_page", "show"]

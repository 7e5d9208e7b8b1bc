"""The reference of all formats, made from what :mod:`spikelab.formats` exports.

``.. formats:: writers`` stands for the classes of writers and of what they take,
``.. formats:: exports`` for the export functions, ``.. formats:: loaders`` for the
loaders; each is shown as ``autoclass`` and ``autofunction`` show it.
"""

import inspect
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from spikelab import formats, registry
from spikelab.formats.base import Writer

CHOSEN = {
    "writers": ("spikelab.formats", ""),
    "exports": ("spikelab.data_loaders.data_exporters", "export_"),
    "loaders": ("spikelab", "load_"),
}
"""For each argument, from where the names are imported, and how those of functions begin."""


class Formats(SphinxDirective):
    """The writers, export functions or loaders of all formats."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the descriptions in the order of the registry."""
        return self.parse_text_to_nodes("\n".join(self._lines()))

    def _lines(self) -> Iterator[str]:
        module, prefix = CHOSEN[self.arguments[0]]
        modules = [entry.module for entry in registry.FORMATS.values()]
        for name in dict.fromkeys(name for m in modules for name in m.__all__):
            value = getattr(formats, name)
            if inspect.isclass(value) and not prefix:
                yield f".. autoclass:: {module}.{name}"
                yield "" if issubclass(value, Writer) else "   :members:\n"
            elif prefix and name.startswith(prefix):
                yield f".. autofunction:: {module}.{name}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive to the build."""
    app.add_directive("formats", Formats)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

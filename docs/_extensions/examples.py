"""Examples of the documentation: their figures, and code that can be pasted.

The examples of a page run when the page is read, in one namespace and an empty folder, if
the page draws anything. Figures that a block leaves open are saved, closed, and put below
it and its output. Whether the output is right is a matter of the doctest builder.

In HTML, prompts are left out, and output stands in a block of its own.
"""

import contextlib
import doctest
import io
import os
import tempfile
from pathlib import Path

import matplotlib
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

matplotlib.use("agg")

from matplotlib import pyplot as plt  # after the backend is chosen

STYLE = {
    "figure.figsize": (8, 4),
    "figure.constrained_layout.use": True,
    "savefig.bbox": "tight",
    "savefig.dpi": 110,
    "savefig.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


class Figures(SphinxTransform):
    """Run the code of a page and put its figures below it."""

    # After the blocks are there, before Sphinx collects the images.
    default_priority = 500

    def apply(self) -> None:
        """Run a page that plots."""
        blocks = [
            node
            for node in self.document.findall(nodes.Element)
            if isinstance(node, nodes.doctest_block)
            or node.get("testnodetype") in ("testcode", "testsetup", "doctest")
        ]
        if not any("plot" in block.astext() for block in blocks):
            return
        namespace: dict[str, object] = {"__name__": "__main__"}
        home = Path.cwd()
        with tempfile.TemporaryDirectory() as folder, plt.rc_context(STYLE):
            os.chdir(folder)
            try:
                for block in blocks:
                    self._run(block, namespace)
            finally:
                os.chdir(home)
                plt.close("all")

    def _run(self, block: nodes.Element, namespace: dict[str, object]) -> None:
        text = block.astext()
        examples = doctest.DocTestParser().get_examples(text)
        with contextlib.redirect_stdout(io.StringIO()):
            for source in [example.source for example in examples] or [text]:
                fails = any(e.source == source and e.exc_msg for e in examples)
                with contextlib.suppress(*[Exception] * fails):
                    exec(compile(source, f"<{self.env.docname}>", "exec"), namespace)
        place = block.parent.index(block) + 1
        below = block.parent[place : place + 1]
        if below and below[0].get("testnodetype") == "testoutput":
            place += 1
        for number in plt.get_fignums():
            figure = plt.figure(number)
            block.parent.insert(place, self._image(figure))
            plt.close(figure)

    def _image(self, figure: "plt.Figure") -> nodes.image:
        folder = Path(self.app.doctreedir) / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        self.env.temp_data["figures"] = self.env.temp_data.get("figures", 0) + 1
        name = f"{self.env.docname.replace('/', '-')}-{self.env.temp_data['figures']}"
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
        page = Path(self.env.doc2path(self.env.docname)).parent
        uri = Path(os.path.relpath(folder / f"{name}.png", page)).as_posix()
        axes = figure.axes[0]
        alt = f"{axes.get_ylabel()} over {axes.get_xlabel()}"
        return nodes.image(uri=uri, alt=alt, classes=["figure"])


class PlainCode(SphinxPostTransform):
    """Show doctests as code without prompts, and their output below it."""

    default_priority = 5
    formats = ("html",)

    def run(self, **kwargs: object) -> None:
        """Replace each doctest block by blocks of code and of output."""
        for block in list(self.document.findall(_is_doctest)):
            code: list[str] = []
            shown: list[nodes.Node] = []
            for example in doctest.DocTestParser().get_examples(block.astext()):
                source = example.source
                # A prompt needs an empty line after an indented block.
                is_open = source.splitlines()[-1].startswith(" ")
                code.append(f"{source}\n" if is_open else source)
                if example.want:
                    shown += [
                        _literal(code, "python"),
                        _literal([example.want], "text"),
                    ]
                    code = []
            if code:
                shown.append(_literal(code, "python"))
            block.replace_self(shown)


def _is_doctest(node: nodes.Node) -> bool:
    return isinstance(node, nodes.doctest_block) or (
        isinstance(node, nodes.literal_block) and node.get("testnodetype") == "doctest"
    )


def _literal(lines: list[str], language: str) -> nodes.literal_block:
    text = "".join(lines).replace("<BLANKLINE>", "").rstrip()
    return nodes.literal_block(text, text, language=language)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transforms to the build."""
    app.add_transform(Figures)
    app.add_post_transform(PlainCode)
    return {"parallel_read_safe": False, "parallel_write_safe": True}

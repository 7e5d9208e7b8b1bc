"""How the documentation is built; see ``tox -e docs``."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "spikelab"
author = "The spikelab developers"
project_copyright = author
release = importlib.metadata.version("spikelab")

extensions = [
    "examples",
    "formats",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_extensions", "jupyter_execute"]

html_theme = "furo"
html_title = f"spikelab {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["spikelab.css"]

# The docstrings give types in words; type hints would say it twice.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# numpy and the standard library are not part of this documentation, and its
# build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(_pickle|abc|collections|matplotlib|numpy|os|pathlib|typing)\..*")
]

# What is copied from a page can be pasted: no prompts, no output.
copybutton_selector = ", ".join(
    f"div.highlight-{language} pre"
    for language in ("console", "default", "ipython3", "json", "matlab", "python", "r")
)
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The notebook runs whenever the pages are built, and a cell that fails stops the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 120

# Each page runs its examples in an empty folder of its own.
doctest_global_setup = """
import os, tempfile
import matplotlib
matplotlib.use("agg")
_home = os.getcwd()
_folder = tempfile.TemporaryDirectory()
os.chdir(_folder.name)
"""
doctest_global_cleanup = """
from matplotlib import pyplot
pyplot.close("all")
os.chdir(_home)
_folder.cleanup()
"""

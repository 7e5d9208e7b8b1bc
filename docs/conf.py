"""How the documentation is built; see ``tox -e docs``."""

import importlib.metadata

project = "spikelab"
author = "The spikelab developers"
project_copyright = author
release = importlib.metadata.version("spikelab")

extensions = ["numpydoc", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"spikelab {release}"
html_copy_source = False

# The docstrings give types in words; type hints would say it twice.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# numpy and the standard library are not part of this documentation, and its
# build needs no network.
nitpick_ignore_regex = [("py:.*", r"(_pickle|abc|numpy|os|pathlib|typing)\..*")]

# Each page runs its examples in an empty folder of its own.
doctest_global_setup = """
import os, tempfile
_home = os.getcwd()
_folder = tempfile.TemporaryDirectory()
os.chdir(_folder.name)
"""
doctest_global_cleanup = """
os.chdir(_home)
_folder.cleanup()
"""

"""Install the lowest version of each dependency with which the tests run."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def lowest():
    """The dependencies of the package and of its light extras, each ``name==version``."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = re.findall(r"\w+", extras["light"][0].partition("[")[2])
    bounds = [*project["dependencies"], *(b for name in names for b in extras[name])]
    return [bound.replace(">=", "==") for bound in bounds]


if __name__ == "__main__":
    subprocess.check_call([sys.executable, "-m", "pip", "install", *lowest()])

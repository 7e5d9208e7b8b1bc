"""From and to the objects of other packages, one module each, imported on first use."""

import importlib
from typing import Any

from spikelab.errors import MissingExtraError


def library(name: str, feature: str, extra: str) -> Any:
    """Import and return a package, such as ``spikeinterface.core``, of an extra.

    Raises MissingExtraError, which says that `feature` needs it, if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(feature, name.partition(".")[0], extra) from error

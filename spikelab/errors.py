"""The errors that are spikelab's own, and how it warns.

A wrong option is a :class:`ValueError`, a wrong type a :class:`TypeError`, a
trouble with the disk an :class:`OSError`; the classes below add what those
cannot say. Each also derives from the built-in that fits it, so that code
which catches the built-in keeps working.
"""

import pickle
import sys
import warnings
from types import FrameType


def _is_inside(frame: FrameType) -> bool:
    # The constructors that attrs makes have no name of a module.
    return str(frame.f_globals.get("__name__", "spikelab.")).startswith("spikelab.")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what the first caller outside of spikelab did."""
    level, frame = 1, sys._getframe()
    while frame.f_back and _is_inside(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


class SpikelabError(Exception):
    """Base of every error that only spikelab raises."""


class FormatError(SpikelabError, ValueError):
    """A file or folder does not hold what its format promises."""


class IncompleteExportError(FormatError):
    """A folder was left by an export that did not come to its end."""


class UnsafePickleError(FormatError, pickle.UnpicklingError):
    """A pickle names something that is not part of a spikelab data object."""


class LossError(SpikelabError, ValueError):
    """A strict export would lose something that the object holds."""


class VerificationError(SpikelabError, OSError):
    """A staged file, read back, does not hold what was exported."""


class TransferError(SpikelabError, OSError):
    """A transfer to or from a remote store failed."""


class S3Error(TransferError):
    """A transfer to or from an S3 store failed."""


class MissingExtraError(SpikelabError, ImportError):
    """A feature needs a package that an optional extra installs."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}: pip install 'spikelab[{extra}]'"
        )

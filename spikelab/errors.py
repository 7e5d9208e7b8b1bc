"""The errors that are spikelab's own, and how it warns.

A wrong option is a :class:`ValueError`, a wrong type a :class:`TypeError`, trouble with
the disk an :class:`OSError`. The classes below add what those cannot say, and derive from
the built-in that fits.
"""

import contextlib
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

_warned: ContextVar[tuple[list[str], bool] | None] = ContextVar("_warned", default=None)
"""Of the block of `collected_warnings`: its list, and whether they are shown too."""


@contextlib.contextmanager
def collected_warnings(*, shown: bool) -> Iterator[list[str]]:
    """Yield a list that collects the warnings of the block, each text once.

    Unlike ``warnings.catch_warnings`` it knows no filters, and each thread has its own.
    If they are `shown`, they are issued as well.
    """
    texts: list[str] = []
    token = _warned.set((texts, shown))
    try:
        yield texts
    finally:
        _warned.reset(token)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of what the first caller outside of spikelab did."""
    if (collecting := _warned.get()) is not None:
        texts, shown = collecting
        if message in texts:
            return
        texts.append(message)
        if not shown:
            return
    # Validators are called by constructors of attrs, which have no module.
    inside = ("spikelab.", "attr.", "None")
    level, frame = 1, sys._getframe().f_back
    while frame and str(frame.f_globals.get("__name__")).startswith(inside):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)


class SpikelabError(Exception):
    """Base of every error that only spikelab raises."""


class FormatError(SpikelabError, ValueError):
    """A file or folder does not hold what its format promises."""


class IncompleteExportError(FormatError):
    """A folder was left by an export that did not come to its end."""


class UnsafePickleError(FormatError, pickle.UnpicklingError):
    """A pickle names something that is not part of a spikelab data object."""


class OptionError(SpikelabError, ValueError, TypeError):
    """An option that a format does not have, that is missing, or that does not fit.

    Parameters
    ----------
    option : str
        Name of the option.
    problem : str
        What is wrong with it; the message is the name and this.
    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(option, problem)
        self.option, self.problem = option, problem

    def __str__(self) -> str:
        """Return the name of the option and what is wrong with it."""
        return f"{self.option} {self.problem}"


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

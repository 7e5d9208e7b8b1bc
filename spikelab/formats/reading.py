"""What readers have in common: the options of the caller, and errors that name the file."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypedDict, TypeVar

import attrs

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData

O = TypeVar("O", bound=DataObject)  # noqa: E741

READS_RAW: ContextVar[bool] = ContextVar("READS_RAW", default=True)
"""Whether raw voltages are read. If not, zeros of their shape stand in their place."""


class ReaderKeywords(TypedDict, total=False):
    """The fields of :class:`ReaderOptions`, as keywords."""

    storage_options: Mapping[str, Any] | None
    progress: bool


class RecordingKeywords(ReaderKeywords, total=False):
    """The fields of :class:`RecordingOptions`, as keywords."""

    length_ms: float | None
    start_time_ms: float | None
    metadata: Mapping[str, Any] | None


@attrs.frozen(kw_only=True)
class ReaderOptions:
    """How a reader gets the file.

    Parameters
    ----------
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.
    """

    storage_options: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    progress: bool = False


@attrs.frozen(kw_only=True)
class RecordingOptions(ReaderOptions):
    """The recording window and metadata that a caller gives instead of those in the file.

    Parameters
    ----------
    length_ms, start_time_ms : float, optional
        The recording window in ms; goes before what the file says.
    metadata : mapping, optional
        Metadata of the recording; ``source_file`` is added.
    """

    length_ms: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(validate.is_not_negative)
    )
    start_time_ms: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(validate.is_finite)
    )
    metadata: Mapping[str, Any] | None = attrs.field(
        default=None, validator=attrs.validators.optional(validate.is_mapping)
    )

    def metadata_with(self, found: Mapping[str, Any], **source: Any) -> dict[str, Any]:
        """Return `source`, what is `found`, what the caller says: the last one counts."""
        return {**source, **found, **(self.metadata or {})}

    def refuse_unless_recording(self, obj: DataObject) -> None:
        """Raise ValueError if an option is given, and `obj` is not a recording."""
        if not isinstance(obj, SpikeData):
            names = "length_ms", "start_time_ms", "metadata"
            given = {name: getattr(self, name) for name in names}
            refuse_options(type(obj).__name__, **given)


def refuse_options(kind: str, **options: Any) -> None:
    """Raise ValueError for an option that has no meaning for what a file holds."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name} must be None for a file that holds a {kind}, got {value!r:.80}"
            )


def build(cls: type[O], **arguments: Any) -> O:
    """Return a data object from what a file holds, FormatError if its class refuses it."""
    try:
        return cls(**arguments)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        raise FormatError(f"not the contents of a {cls.__name__}: {e}") from e


@contextmanager
def errors_naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let each FormatError of the block begin with the path of the file."""
    try:
        yield
    except FormatError as error:
        if os.fspath(path) not in str(error):
            error.args = (f"{os.fspath(path)}: {error}",)
        raise

"""What every writer has in common: the way from an object to a published file."""

import abc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs

from spikelab import checks, comparison, destinations, kinds
from spikelab.errors import FormatError, LossError, VerificationError
from spikelab.kinds import Contents


def _check_object(obj: Any) -> None:
    """Raise for an object that was changed so that its class would refuse it."""
    obj.check()


def _foreign(obj: Any) -> list[str]:
    """Return in words what of an object is not part of its data class."""
    kind, cls = kinds.kind_of(obj), type(obj).__name__
    lost = [
        f"attribute {name!r} of the object (a {kind} has none of this name)"
        for name in kinds.additional(kind, vars(obj))
    ]
    if not kinds.is_data_object(obj):
        lost.append(f"that it is a {cls} (it comes back as a {kind})")
    return lost


@attrs.frozen(kw_only=True)
class Writer(abc.ABC):
    """One way to write a data object: configured once, used many times.

    A wrong option raises when the writer is made, an object that the format
    cannot hold before the target is touched.

    Parameters
    ----------
    verify : bool
        Read what was staged and compare it with the object before it is
        published; a difference raises :class:`~spikelab.errors.VerificationError`.
    strict : bool
        Raise :class:`~spikelab.errors.LossError` if :meth:`losses` is not empty.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` when the target is an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.
    """

    method: ClassVar[str]
    """The name of the export method, ``to_...``, that uses this writer."""

    keeps_objects: ClassVar[bool] = False
    """Whether objects are written as they are, with class, attributes and masks."""

    verify: bool = attrs.field(default=False, validator=checks.is_flag)
    strict: bool = attrs.field(default=False, validator=checks.is_flag)
    storage_options: Mapping[str, Any] | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(checks.is_mapping),
        repr=False,
    )
    progress: bool = attrs.field(default=False, validator=checks.is_flag)

    def check(self, obj: Any) -> None:
        """Raise if `obj` cannot be written with these options; touch no file.

        Raises
        ------
        TypeError
            If the format has no meaning for this kind of object.
        ValueError
            If the object holds what the format cannot.
        LossError
            If the writer is strict and would lose something.
        """
        self._prepared(obj)

    def _prepared(self, obj: Any) -> Any:
        """Return what :meth:`_prepare` does for an object that can be written."""
        self._check_kind(obj)
        prepared = self._prepare(obj)
        if self.strict and (lost := self._all_losses(obj)):
            raise LossError(
                f"{self.method} would lose part of the object: " + "; ".join(lost)
            )
        return prepared

    def losses(self, obj: Any) -> list[str]:
        """Return, in words, what the format will not carry for this object.

        An attribute of a unit that comes back equal, but as another type of number
        (one of Python for one of NumPy, a float for an integer), is not lost.

        Raises
        ------
        TypeError, ValueError
            As :meth:`check`, for an object that is not whole.
        """
        self._check_kind(obj)
        return self._all_losses(obj)

    def _all_losses(self, obj: Any) -> list[str]:
        lost = self._losses(obj)
        return lost if self.keeps_objects else lost + _foreign(obj)

    def _check_kind(self, obj: Any) -> None:
        kinds.check_method(obj, self.method)
        _check_object(obj)
        if not self.keeps_objects:
            for part in (obj, *kinds.recordings_of(obj)):
                for name, value in kinds.arguments_of(part).items():
                    checks.unmasked(name, value)

    @abc.abstractmethod
    def _prepare(self, obj: Any) -> Any:
        """Raise for data that the format cannot hold; return what it makes of others."""

    @abc.abstractmethod
    def _losses(self, obj: Any) -> list[str]: ...

    @abc.abstractmethod
    def _write(self, obj: Any, path: Path, prepared: Any) -> None:
        """Write to the staged file or folder `path` what :meth:`_prepare` returned."""

    @abc.abstractmethod
    def _read_back(self, path: Path) -> Contents:
        """Read a staged file or folder as the loader will."""

    def _differences(self, obj: Any, contents: Contents) -> list[str]:
        """Return in words where `contents` differs from what `obj` should become."""
        return comparison.differences(obj, contents, slack_ms=self._rounding_ms(obj))

    def _rounding_ms(self, obj: Any) -> float:
        """Return how far the format may move a time of `obj`."""
        return 0.0

    def _fill(self, obj: Any, staged: Path, prepared: Any) -> None:
        self._write(obj, staged, prepared)
        if self.verify:
            try:
                self._refuse(self._found_wrong(obj, staged, prepared))
            except FormatError as error:
                self._refuse([f"it cannot be read: {error}"])
            except RecursionError:
                self._refuse(["it nests too deep to be compared, or holds itself"])

    def _found_wrong(self, obj: Any, staged: Path, prepared: Any) -> list[str]:
        """Return in words where what was staged differs from `obj`."""
        return self._differences(obj, self._read_back(staged))

    def _refuse(self, differences: list[str]) -> None:
        if differences:
            raise VerificationError(
                f"{self.method}: the staged file differs from the object, "
                f"nothing was published: {'; '.join(differences)}"
            )


@attrs.frozen(kw_only=True)
class FileWriter(Writer):
    """A writer of a single file."""

    def write(self, obj: Any, filepath: str | os.PathLike[str]) -> str:
        """Write `obj` to `filepath`, whole or not at all.

        Parameters
        ----------
        obj : data object
            One of the six data classes of spikelab.
        filepath : path or S3 URL
            Replaced if it exists; parent folders are made.

        Returns
        -------
        str
            `filepath`.
        """
        prepared = self._prepared(obj)
        with destinations.staged_file(
            filepath, self.storage_options, progress=self.progress
        ) as staged:
            self._fill(obj, staged, prepared)
        return os.fspath(filepath)


@attrs.frozen(kw_only=True)
class FolderWriter(Writer):
    """A writer of a folder of files."""

    contradicting: ClassVar[tuple[str, ...]]
    """Glob patterns of the files that readers of the format would look for."""

    def _publish(self, obj: Any, folder: str | os.PathLike[str]) -> None:
        prepared = self._prepared(obj)
        with destinations.staged_folder(
            folder,
            self.storage_options,
            contradicting=self.contradicting,
            progress=self.progress,
        ) as staged:
            self._fill(obj, staged, prepared)

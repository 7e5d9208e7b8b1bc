"""The writer: the way from a data object to a published file, common to all formats."""

import abc
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

import attrs

from spikelab import validate
from spikelab.errors import FormatError, LossError, VerificationError, warn
from spikelab.formats.protect import would_be_lost
from spikelab.registry import FORMATS
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.differences import compare
from spikelab.spikedata.plain import without_units
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.storage.publish import publish
from spikelab.storage.remote_folder import Existing, RemoteFolder
from spikelab.storage.urls import StrPath, expanded

R = TypeVar("R")
P = TypeVar("P")

OnLosses = Callable[[list[str]], None]


@attrs.frozen(kw_only=True)
class Writer(abc.ABC, Generic[R, P]):
    """One way to write a data object: configured once, used many times.

    A wrong option raises when the writer is made, an object that the format cannot
    hold before the target is touched. `R` is what :meth:`write` returns, `P` the plan
    that ``_prepared`` makes of an object: what the other methods take.

    Parameters
    ----------
    verify : bool
        Read back what was written and compare it with the object before it replaces
        an earlier export; a difference raises
        :class:`~spikelab.errors.VerificationError`.
    strict : bool
        Raise :class:`~spikelab.errors.LossError` if part of the object would be lost.
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.
    overwrite : bool
        Replace a target that holds what this export would not write again: the file of
        another program, or an export that was changed since.
    """

    method: ClassVar[str]  # the export method, ``to_<format>``
    is_folder: ClassVar[bool] = False
    conflicting: ClassVar[tuple[str, ...]] = ()  # globs of what readers would look for
    keeps_all: ClassVar[bool] = False  # also masks, units of measurement, any attribute

    verify: bool = attrs.field(default=False, validator=validate.is_flag)
    strict: bool = attrs.field(default=False, validator=validate.is_flag)
    storage_options: Mapping[str, Any] | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(validate.is_mapping),
        repr=False,
    )
    progress: bool = attrs.field(default=False, validator=validate.is_flag)
    overwrite: bool = attrs.field(default=False, validator=validate.is_flag)

    def write(
        self, obj: DataObject, target: StrPath, *, on_losses: OnLosses | None = None
    ) -> R:
        """Write an object, whole or not at all.

        Parameters
        ----------
        obj : data object
            What to write.
        target : path or S3 URL
            File or folder; replaced if it exists. Parent folders are made.
        on_losses : callable, optional
            Called with those of :meth:`losses` that no warning names, before the target
            is touched.

        Returns
        -------
        str or tuple of str
            Where it was written.

        Raises
        ------
        FileExistsError
            If the target holds what the export would not write again, unless
            `overwrite` is set.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> from spikelab.formats import PickleWriter
        >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
        >>> PickleWriter(verify=True).write(sd, "cells.pkl")
        'cells.pkl'
        """
        plan = self._accepted(obj, on_losses)
        self._publish(plan, target)
        return self._written(obj, expanded(target))

    def check(self, obj: DataObject, *, on_losses: OnLosses | None = None) -> None:
        """Raise if `obj` cannot be written with these options; touch no file.

        `on_losses` is called as by :meth:`write`.

        Raises
        ------
        TypeError
            If the format has no meaning for the class of the object.
        ValueError
            If the object holds what the format cannot.
        LossError
            If the writer is strict and would lose something.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> from spikelab.formats import PhyWriter
        >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
        >>> PhyWriter(fs_Hz=30_000).check(sd)
        """
        self._accepted(obj, on_losses)

    def losses(self, obj: DataObject) -> list[str]:
        """Return, in words, what the format will not carry for this object.

        A number that comes back equal, but as another type (one of Python for one of
        NumPy, a float for an integer), is not lost.

        Raises
        ------
        TypeError, ValueError
            As :meth:`check`.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> from spikelab.formats import RasterWriter
        >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
        >>> RasterWriter(bin_size_ms=5).losses(sd)
        ['spike times are rounded by up to 5 ms']
        """
        plan, units = self._checked(obj)
        return self._all_losses(obj, plan, units)

    def _accepted(self, obj: DataObject, on_losses: OnLosses | None) -> P:
        """Return the plan of an object; warn of oddities, refuse what is wrong."""
        plan, units = self._checked(obj)
        for caution in self._cautions(plan):
            warn(caution)
        if units:
            warn(f"{self.method} leaves out {'; '.join(units)}")
        if self.strict or on_losses is not None:
            losses = self._all_losses(obj, plan, units)
            if on_losses is not None:
                warned = {*units, *self._warned_losses(plan)}
                on_losses([loss for loss in losses if loss not in warned])
            if self.strict and losses:
                raise LossError(
                    f"{self.method} would lose part of the object: {'; '.join(losses)}"
                )
        return plan

    def _checked(self, obj: DataObject) -> tuple[P, list[str]]:
        """Return the plan of an object, and in words the units of measurement it lacks."""
        cls = data_class(obj)
        has_spikes = issubclass(cls, SpikeData | SpikeSliceStack)
        if not has_spikes and FORMATS[self.method.removeprefix("to_")].spikes_only:
            methods = [f"to_{f.name}" for f in FORMATS.values() if not f.spikes_only]
            raise TypeError(
                f"{self.method} has no meaning for a {cls.__name__}; "
                f"a {cls.__name__} can be exported with {', '.join(methods)}"
            )
        obj.check()
        units: list[str] = []
        if not self.keeps_all:
            slices = [sd for sd in recordings_of(obj) if sd is not obj]
            for part in (obj, *slices):
                for name, value in part.arguments().items():
                    validate.unmasked(name, value)
            obj, units = without_units(obj)
        return self._prepared(obj), units

    def _all_losses(self, obj: DataObject, plan: P, units: list[str]) -> list[str]:
        """Return in words what of the plan, of the class and of the units is lost."""
        losses = list(self._losses(plan))
        if self.keeps_all:
            return losses
        cls = data_class(obj)
        for name in sorted(map(str, vars(obj).keys() - {*cls.FIELDS.values(), "N"})):
            losses.append(
                f"attribute {name!r} of the object (a {cls.__name__} has none of this "
                "name)"
            )
        if type(obj) is not cls:
            losses.append(
                f"that it is a {type(obj).__name__} (it comes back as a {cls.__name__})"
            )
        return losses + units

    def _publish(self, plan: P, target: StrPath) -> None:
        """Write the file or folder, verify it, and put it in place."""
        with self._published(target) as staged:
            self._write(plan, staged)
            if self.verify:
                self._verify(plan, lambda: self._read(staged))

    def _published(self, target: StrPath) -> AbstractContextManager[Path]:
        """Return a context that gives a path to write to and puts it in place."""
        return publish(
            target,
            self.storage_options,
            folder=self.is_folder,
            conflicting=self.conflicting,
            overwrite=self.overwrite,
            lost=self._would_be_lost,
            progress=self.progress,
        )

    def _verify(self, plan: P, read: Callable[[], DataObject]) -> None:
        """Raise VerificationError if what is read back differs beyond the losses."""
        try:
            found = compare(self._carried(plan), read(), atol_ms=self._atol_ms(plan))
            wrong = [difference.text for difference in found]
        except FormatError as error:
            wrong = [f"it cannot be read: {error}"]
        if wrong:
            raise VerificationError(
                f"{self.method}: the staged file differs from the object, "
                f"nothing was published: {'; '.join(wrong[:20])}"
            )

    def _prepared(self, obj: DataObject) -> P:
        """Return the plan, computed once: by default the object itself.

        Raises ValueError for data that the format cannot hold.
        """
        return cast(P, obj)

    def _cautions(self, plan: P) -> Iterable[str]:
        """Return what the user should know about the export, each for one warning."""
        return ()

    def _warned_losses(self, plan: P) -> Iterable[str]:
        """Return those of the losses that the cautions name."""
        return ()

    def _carried(self, plan: P) -> DataObject:
        """Return the object that a reader makes."""
        return cast(DataObject, plan)

    def _atol_ms(self, plan: P) -> float:
        """Return how far the format may move a time, in ms."""
        return 0.0

    def _would_be_lost(self, existing: Existing) -> list[str]:
        """Return what a target holds that no export wrote, in words."""
        return [] if isinstance(existing, RemoteFolder) else would_be_lost(existing)

    @abc.abstractmethod
    def _losses(self, plan: P) -> list[str]:
        """Return in words what the format does not carry of the object."""

    @abc.abstractmethod
    def _write(self, plan: P, staged: Path) -> None:
        """Write the checked object to a staged file, or into a staged folder."""

    @abc.abstractmethod
    def _read(self, staged: Path) -> DataObject:
        """Read a staged file or folder as the loader will."""

    @abc.abstractmethod
    def _written(self, obj: DataObject, target: StrPath) -> R:
        """Return what :meth:`write` returns."""


class FileWriter(Writer[str, P]):
    """A writer of a single file."""

    def _written(self, obj: DataObject, target: StrPath) -> str:
        return os.fspath(target)


def recordings_of(obj: DataObject) -> list[SpikeData]:
    """Return the recordings that an object is or is made of, none without spikes."""
    if isinstance(obj, SpikeSliceStack):
        return list(obj.spike_stack)
    return [obj] if isinstance(obj, SpikeData) else []

"""Old name of :mod:`spikelab.storage.publish`, while the formats are moved over."""

import contextlib
import functools

from spikelab.storage.manifest import MANIFEST, read_manifest, write_manifest
from spikelab.storage.publish import (
    STAGED_SUFFIX,
    identity,
    local_copy,
    publish,
    resolved,
)

staged_file = functools.partial(publish, folder=False)


def staged_folder(target, storage_options=None, *, contradicting=(), progress=False):  # type: ignore[no-untyped-def] # noqa: D103
    return publish(
        target,
        storage_options,
        folder=True,
        conflicting=contradicting,
        progress=progress,
    )


@contextlib.contextmanager
def staged_pair(first, second, storage_options=None, *, progress=False):  # type: ignore[no-untyped-def] # noqa: D103
    with (
        publish(first, storage_options, progress=progress) as staged,
        publish(second, storage_options, progress=progress) as other,
    ):
        yield staged, other


__all__ = [
    "MANIFEST",
    "STAGED_SUFFIX",
    "identity",
    "local_copy",
    "read_manifest",
    "resolved",
    "staged_file",
    "staged_folder",
    "staged_pair",
    "write_manifest",
]

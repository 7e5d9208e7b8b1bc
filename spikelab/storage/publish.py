"""All-or-nothing writing: bytes are staged, then published as a whole."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikelab import destinations


@contextmanager
def publish(
    target: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    folder: bool = False,
    conflicting: Sequence[str] = (),
    progress: bool = False,
) -> Iterator[Path]:
    """Yield a path to write to, and publish it as `target` if the block succeeds."""
    if folder:
        with destinations.staged_folder(
            target, storage_options, contradicting=conflicting, progress=progress
        ) as staged:
            yield staged
    else:
        with destinations.staged_file(
            target, storage_options, progress=progress
        ) as staged:
            yield staged

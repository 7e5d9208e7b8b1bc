"""What the caller of a reader says about the recording in a file."""

from collections.abc import Mapping
from typing import Any

import attrs

from spikelab import checks
from spikelab.kinds import Contents


@attrs.frozen(kw_only=True)
class RecordingOptions:
    """The recording window and metadata, if they are not those that the file tells.

    Parameters
    ----------
    start_time_ms, length_ms : float, optional
        The recording window in ms.
    metadata : mapping, optional
        Metadata of the recording.
    """

    start_time_ms: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_finite)
    )
    length_ms: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_not_negative)
    )
    metadata: Mapping[str, Any] | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_mapping)
    )

    def described(self, contents: Contents, **source: Any) -> Contents:
        """Return what was read with the metadata: `source`, the file's, the caller's.

        Of those under one key the last counts.

        Raises
        ------
        ValueError
            If there are options, and the file holds no recording.
        """
        if contents.kind != "SpikeData":
            names = attrs.fields_dict(RecordingOptions)
            check_unused(contents.kind, **{name: getattr(self, name) for name in names})
            return contents
        about = {
            **source,
            **(contents.arguments.get("metadata") or {}),
            **(self.metadata or {}),
        }
        return Contents(contents.kind, {**contents.arguments, "metadata": about})


def check_unused(kind: str, **options: Any) -> None:
    """Raise ValueError if an option is given that has no meaning for what a file holds."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"{name} must be None for a file that holds a {kind}, got {value!r:.80}"
            )

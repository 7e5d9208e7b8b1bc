"""What NWB changes about an object, and where."""

from typing import Any

import attrs


@attrs.frozen
class Loss:
    """What NWB changes about an object, declared before it is written.

    It explains the differences whose :attr:`.Difference.path` begins with `path`. What
    is lost stands in `text`, in words for the user; it is empty if a reader only adds.
    """

    path: tuple[Any, ...]
    text: str = ""

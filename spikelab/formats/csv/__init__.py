"""CSV: tables for pandas, R and spreadsheets."""

from pathlib import Path

from spikelab.formats.csv.writer import (
    CSVWriter,
    export_spikedata_to_csv,
    read,
)

__all__ = [
    "CSVWriter",
    "export_spikedata_to_csv",
    "read",
]


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is compressed, or has the name of a CSV table."""
    name = path.name.lower()
    return head[:2] == b"\x1f\x8b" or name.endswith((".csv", ".csv.gz"))

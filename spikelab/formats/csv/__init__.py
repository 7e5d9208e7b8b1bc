"""CSV: tables for pandas, R and spreadsheets."""

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

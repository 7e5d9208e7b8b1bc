"""Loaders and export functions, under the import paths of the specification."""

from spikelab.data_loaders.data_exporters import (
    export_spikedata_to_csv,
    export_spikedata_to_hdf5,
    export_spikedata_to_kilosort,
    export_spikedata_to_nwb,
    export_spikedata_to_phy,
    export_to_pickle,
)
from spikelab.data_loaders.data_loaders import (
    load,
    load_from_pickle,
    load_spikedata_from_csv,
    load_spikedata_from_hdf5,
    load_spikedata_from_kilosort,
    load_spikedata_from_nwb,
    load_spikedata_from_pickle,
    load_spikedata_from_spikeinterface,
)
from spikelab.data_loaders.s3_utils import (
    download_from_s3,
    ensure_local_file,
    is_s3_url,
    parse_s3_url,
    upload_to_s3,
)

__all__ = [
    "download_from_s3",
    "ensure_local_file",
    "export_spikedata_to_csv",
    "export_spikedata_to_hdf5",
    "export_spikedata_to_kilosort",
    "export_spikedata_to_nwb",
    "export_spikedata_to_phy",
    "export_to_pickle",
    "is_s3_url",
    "load",
    "load_from_pickle",
    "load_spikedata_from_csv",
    "load_spikedata_from_hdf5",
    "load_spikedata_from_kilosort",
    "load_spikedata_from_nwb",
    "load_spikedata_from_pickle",
    "load_spikedata_from_spikeinterface",
    "parse_s3_url",
    "upload_to_s3",
]

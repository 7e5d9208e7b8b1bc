"""Names of columns in the Units table that every NWB reader takes."""

from collections.abc import Iterable

STRUCTURE = frozenset(
    {
        "id",
        "spike_times",
        "spike_times_index",
        "obs_intervals",
        "obs_intervals_index",
        "electrodes",
        "electrodes_index",
    }
)
"""Members of the Units table that carry the spikes, the window and the electrodes."""

_SCHEMA = frozenset(
    {
        "electrode_group",
        "electrode_group_index",
        "waveform_mean",
        "waveform_mean_index",
        "waveform_sd",
        "waveform_sd_index",
        "waveforms",
        "waveforms_index",
        "waveforms_index_index",
    }
)
"""Columns to which the NWB schema gives a type and a unit of its own."""

# A column of one of these names makes the reader warn or fail, because it
# would hide an attribute of the object that the reader returns.
_PYNWB = """
    add_child add_column add_meanings_table add_row add_unit all_children
    all_objects children colnames columns container_source copy create_region
    css_style data_type description fields from_dataframe generate_html_repr
    generate_new_id get get_ancestor get_ancestors get_duration get_fields_conf
    get_foreign_columns get_linked_tables get_meanings_for_column get_meanings_table
    get_read_io get_starting_time get_unit_obs_intervals get_unit_spike_times
    has_foreign_columns js_script meanings_tables modified name namespace
    neurodata_type object_id parent read_io reset_parent resolution set_data_io
    set_modified to_dataframe type_hierarchy waveform_rate
    waveform_time_before_peak_in_ms waveform_unit waveforms_desc
"""
_PYNAPPLE = """
    clear copy count data drop_info fromkeys get get_info getby_category
    getby_intervals getby_threshold groupby groupby_apply index items keys merge
    merge_group metadata metadata_columns metadata_index nap_class pop popitem rate
    rates restrict restrict_info save set_info setdefault subsample time_diff
    time_support to_tsd trial_count update value_from values
"""

RESERVED = STRUCTURE | _SCHEMA | {*_PYNWB.split(), *_PYNAPPLE.split()}


def safe(key: str, taken: Iterable[str]) -> str:
    """Return `key`, or the nearest name that readers take and that is not in `taken`.

    What cannot be in an identifier becomes an underscore, underscores at the
    start go, ``unit_`` is put before a digit, and an underscore is added to a
    reserved name and to one that ends like the index of a column.
    """
    letters = [c if f"_{c}".isidentifier() else "_" for c in key]
    name = "".join(letters).lstrip("_") or "attribute"
    if not name[0].isidentifier():
        name = f"unit_{name}"
    if name in RESERVED or name.endswith("_index"):
        name += "_"
    used = set(taken)
    while name in used:
        name += "_"
    return name

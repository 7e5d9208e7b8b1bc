"""Folders as spike sorters and Phy leave them, for the tests of the loader."""

import warnings

import numpy as np

PARAMS = (
    "dat_path = 'raw.dat'\nn_channels_dat = 4\ndtype = 'int16'\noffset = 0\n"
    "sample_rate = 30000.\nhp_filtered = False\n"
)
TIMES = np.array([30, 60, 90, 120, 150, 180])
CLUSTERS = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)


def templates_on(channels, n_channels=4, n_samples=5):
    """A template for each channel named, whose peak is there."""
    templates = np.zeros((len(channels), n_samples, n_channels), np.float32)
    for row, channel in enumerate(channels):
        templates[row, n_samples // 2, channel] = -3.0 - row
    return templates


def sorted_folder(path, params=PARAMS, **files):
    """A folder of three clusters on four channels.

    More files by name, with ``__`` for the dot: arrays, bytes or text; None for a file
    that is not there.
    """
    path.mkdir(parents=True)
    arrays = {
        "spike_times__npy": TIMES,
        "spike_clusters__npy": CLUSTERS,
        "spike_templates__npy": CLUSTERS,
        "templates__npy": templates_on([1, 2, 3]),
        "channel_map__npy": np.arange(4, dtype=np.int32),
        "channel_positions__npy": np.c_[np.zeros(4), 20.0 * np.arange(4)],
        "params__py": params,
    }
    for name, content in {**arrays, **files}.items():
        file = path / name.replace("__", ".")
        if isinstance(content, np.ndarray):
            np.save(file, content)
        elif content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            file.write_bytes(data)
    return path


def warned(call):
    """What a call returns, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call()
    return result, [str(w.message) for w in found]


def known(sd, key):
    """An attribute of each unit, None where a unit has none."""
    return [attributes.get(key) for attributes in sd.neuron_attributes]


def saved_by_phy(folder, clusters=None, **tables):
    """Save a folder as Phy does: rows of clusters that have spikes, and what is given.

    `tables` hold a cell for each cluster by the name of the column.
    """
    if clusters is not None:
        np.save(folder / "spike_clusters.npy", np.asarray(clusters, dtype=np.int32))
    present = set(np.load(folder / "spike_clusters.npy").tolist())
    for table in set(folder.glob("cluster_*.tsv")) - {folder / "cluster_info.tsv"}:
        head, *rows = table.read_text().splitlines()
        cells = dict(row.split("\t", 1) for row in rows)
        column = head.split("\t")[1]
        cells |= {str(i): str(cell) for i, cell in tables.get(column, {}).items()}
        kept = [f"{i}\t{cell}" for i, cell in cells.items() if int(i) in present]
        table.write_text("\r\n".join([head, *kept]) + "\r\n")
    (folder / "cluster_info.tsv").write_text("cluster_id\n0\n")

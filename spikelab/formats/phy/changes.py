"""What was changed in a KiloSort or Phy folder since spikelab exported it."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spikelab.errors import FormatError
from spikelab.formats.phy import cluster_tables, npy
from spikelab.formats.phy.facts import HASHED, Facts, fingerprints, parsed
from spikelab.storage.manifest import MANIFEST, load_manifest
from spikelab.storage.remote_folder import Existing, RemoteFolder

_CACHES = (".phy", "whitening_mat_inv.npy")  # what Phy writes when it opens a folder


def changes(existing: Existing, conflicting: Sequence[str]) -> list[str]:
    """Return the names of what was changed in a folder since spikelab exported it.

    That Phy opened the folder changes nothing, nor that it saved tables which hold the
    same for all clusters that have spikes. A folder without a complete manifest holds
    nothing of the kind. `conflicting` are glob patterns of files that an export removes.
    """
    if isinstance(existing, RemoteFolder):
        return _remote_changes(existing, conflicting)
    folder = Path(existing)
    manifest = load_manifest(folder) if folder.is_dir() else None
    if manifest is None or not manifest["complete"]:
        return []
    is_stack = "cluster_ids" not in manifest
    exported = Facts() if is_stack else parsed(manifest, folder / MANIFEST)
    written, now = manifest.get("fingerprints", {}), fingerprints(folder)
    added = {entry.name for pattern in conflicting for entry in folder.glob(pattern)}
    found = sorted(added - {*manifest["files"], *_CACHES})
    for name in manifest["files"]:
        if (folder / name).is_dir():  # a slice
            of_slice = changes(folder / name, conflicting)
            found += [f"{name}/{changed}" for changed in of_slice]
        elif name in now:
            _, digest = now[name]
            # Of large files only the size is known; of clusters also their spikes.
            counts = digest is None and name == exported.spike_clusters_file
            may_differ = counts or now[name] != written.get(name)
            if may_differ and _is_changed(folder / name, exported):
                found.append(name)
    return found


def _remote_changes(remote: RemoteFolder, conflicting: Sequence[str]) -> list[str]:
    """Of large files only the clusters are downloaded: of the others the size counts."""
    if remote.in_manifest is None or remote.is_untouched:
        return []
    with tempfile.TemporaryDirectory(prefix="spikelab-") as name:
        folder = Path(name).resolve()
        for file, entry in remote.entries.items():
            path = folder.joinpath(*file.split("/")).resolve()
            if not path.is_relative_to(folder):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry.size <= HASHED or path.name == "spike_clusters.npy":
                remote.store.inside(file).download(path)
            else:
                path.touch()
                os.truncate(path, entry.size)
        return changes(folder, conflicting)


def _is_changed(path: Path, exported: Facts) -> bool:
    """Return whether a file tells something else than what was exported.

    Clusters tell how many spikes each has, tables the cells of those that have any.
    """
    counts = exported.counts
    try:
        if path.name == exported.spike_clusters_file:
            present = {cluster: count for cluster, count in counts.items() if count}
            return npy.counted(npy.read_whole(path)) != present
        if not path.name.startswith("cluster_"):
            return True
        table = cluster_tables.read_table(path)
    except FormatError:
        return True
    columns = {column.name: column for column in exported.columns}
    for name, cells in table.items():
        if name not in columns or not cells.keys() <= counts.keys():
            return True
        written = columns[name].written()
        for (cluster, count), cell in zip(counts.items(), written, strict=True):
            # Phy drops the rows of clusters without spikes.
            cell_now = cells.get(cluster, "" if count else cell)
            if not cluster_tables.are_same(cell_now, cell):
                return True
    return not table

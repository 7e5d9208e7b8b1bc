"""What was changed in an exported folder since: a curation is not to be lost."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikelab.errors import FormatError
from spikelab.formats.phy import cluster_tables, facts, npy
from spikelab.formats.phy.facts import HASHED, Facts, fingerprint
from spikelab.storage.manifest import MANIFEST, load_manifest
from spikelab.storage.remote import RemoteFolder

_CACHES = (".phy", "whitening_mat_inv.npy")
"""What Phy writes when it opens a folder."""


def changes(folder: Path, conflicting: Sequence[str]) -> list[str]:
    """Return the names of what was changed in a folder since spikelab exported it.

    That Phy opened the folder changes nothing, nor that it saved tables which hold the
    same for all clusters that have spikes. A folder without a complete manifest holds
    nothing of the kind. `conflicting` are glob patterns of files that an export removes.
    """
    manifest = load_manifest(folder) if folder.is_dir() else None
    if manifest is None or not manifest["complete"]:
        return []
    is_stack = "cluster_ids" not in manifest
    known = Facts() if is_stack else facts.parsed(manifest, folder / MANIFEST)
    prints = manifest.get("fingerprints", {})
    added = {e.name for pattern in conflicting for e in folder.glob(pattern)}
    found = sorted(added - {*manifest["files"], *_CACHES})
    for name in manifest["files"]:
        path = folder / name
        if path.is_dir():
            found += [f"{name}/{inner}" for inner in changes(path, conflicting)]
        elif path.is_file() and _is_changed(path, prints.get(name), known):
            found.append(name)
    return found


def remote_changes(remote: RemoteFolder, conflicting: Sequence[str]) -> list[str]:
    """Return what :func:`changes` does of a folder in a remote store.

    Of large files only the clusters are downloaded: of the others the size counts.
    """
    if remote.in_manifest is None:
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


def _is_changed(path: Path, recorded: Any, exported: Facts) -> bool:
    """Return whether a file holds something else than what was exported.

    Of clusters it counts how many spikes each has. Of a table it counts what the cells
    say, without those of silent clusters, which Phy drops.
    """
    now = fingerprint(path)
    is_clusters = path.name == exported.spike_clusters_file
    if now == recorded and (now[1] or not is_clusters):
        return False
    try:
        if is_clusters:
            counts = {i: count for i, count in exported.counts.items() if count}
            return npy.counted(npy.read_whole(path)) != counts
        if not path.name.startswith("cluster_"):
            return True
        table = cluster_tables.read_table(path, {})
    except FormatError:
        return True
    for name, found in table.items():
        column = exported.column(name)
        if column is None or not found.keys() <= exported.counts.keys():
            return True
        for cluster, count, cell in zip(
            exported.cluster_ids, exported.spike_counts, column.written(), strict=True
        ):
            cell_now = found.get(cluster, "" if count else cell)
            if not cluster_tables.are_same(cell_now, cell):
                return True
    return not table

"""Disks that are full, folders that may not be written, and links in the way."""

import contextlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from contract import files_limited_to, snapshot
from stress.exports import EXPORTS, FACTOR, leftovers, recordings, visible
from stress.processes import ended, forked

from spikelab.storage.local import STAGED_SUFFIX

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")

LIMITS = 6 * max(FACTOR // 2, 1)


def largest_file(folder):
    """The size of the largest file below a folder."""
    return max(len(content) for content in snapshot(folder).values())


@pytest.mark.parametrize("name", EXPORTS)
def test_file_size_limit(name, tmp_path, count):
    """Wherever the space ends: one OSError with path and cause, and the old bytes."""
    export = EXPORTS[name]
    old, new = recordings()
    export(old, tmp_path / export.target)
    before = snapshot(tmp_path)
    export(new, tmp_path / "other" / export.target)
    size = largest_file(tmp_path / "other")
    remove_all(tmp_path / "other")
    for limit in np.linspace(0, size - 1, LIMITS).astype(int).tolist():
        with files_limited_to(limit), pytest.raises(OSError, match=r"\w") as caught:
            export(new, tmp_path / export.target)
        assert "File too large" in str(caught.value)
        assert str(tmp_path) in str(caught.value)
        assert snapshot(tmp_path) == before
        count["refused, old bytes intact"] += 1


def remove_all(folder):
    """Remove a folder and all that is in it."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


@contextlib.contextmanager
def small_disk(folder, n_bytes):
    """Mount a disk of this size, or skip the test where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("may not mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def written(export, sd):
    """What an export writes, by relative path."""
    with tempfile.TemporaryDirectory() as folder:
        export(sd, Path(folder) / export.target)
        return visible(folder)


@pytest.mark.parametrize("name", EXPORTS)
def test_full_disk(name, tmp_path, count):
    """A real disk without space: the old export stays, and is replaced once there is."""
    export = EXPORTS[name]
    old, new = recordings()
    needed = sum(map(len, written(export, new).values()))
    with small_disk(tmp_path, 2**20):
        export(old, tmp_path / export.target)
        before = visible(tmp_path)
        for free in (n for n in (0, 1, 2048, 4096) if n < needed):
            filler = tmp_path / "filler"
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            os.truncate(filler, max(filler.stat().st_size - free, 0))
            with pytest.raises(OSError, match="No space left") as caught:
                export(new, tmp_path / export.target)
            assert str(tmp_path) in str(caught.value)
            filler.unlink()
            assert visible(tmp_path) == before
            count["refused, old bytes intact"] += 1
        export(new, tmp_path / export.target)
        assert visible(tmp_path) != before


def as_nobody(work):
    """Run `work` in a child without the rights of root; return whether it passed."""

    def without_rights():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        work()

    return ended(forked(without_rights)) == 0


@pytest.fixture
def open_path(tmp_path):
    """A folder that another user can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("name", EXPORTS)
def test_read_only_folder(name, open_path, count):
    """A PermissionError that names the path; nothing changed, nothing left."""
    export = EXPORTS[name]
    old, new = recordings()
    export(old, open_path / export.target)
    before = snapshot(open_path)
    if export.is_folder:
        (open_path / export.target).chmod(0o555)
    open_path.chmod(0o555)

    def work():
        with pytest.raises(PermissionError, match=str(open_path)):
            export(new, open_path / export.target)

    passed = as_nobody(work)
    open_path.chmod(0o755)
    assert passed
    assert snapshot(open_path) == before
    count["refused, old bytes intact"] += 1


@pytest.mark.parametrize("name", EXPORTS)
def test_write_protected_file(name, open_path, count):
    """A file without write permission stays, though its folder would let it go."""
    export = EXPORTS[name]
    old, new = recordings()
    export(old, open_path / export.target)
    before = snapshot(open_path)
    open_path.chmod(0o777)
    for path in (open_path / export.target, *open_path.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o444)

    def work():
        with pytest.raises(PermissionError, match=str(open_path)):
            export(new, open_path / export.target)

    passed = as_nobody(work)
    assert passed
    assert snapshot(open_path) == before
    count["refused, old bytes intact"] += 1


def test_write_protected_slice(open_path, count):
    """In a folder of folders, what lies deeper is as safe, and nothing stays behind."""
    protected = "slice_0000/spike_times.npy"
    old, new = (sd.frames(5000) for sd in recordings())
    options = {"fs_Hz": 30_000.0}
    old.to_kilosort(open_path / "stack", **options)
    open_path.chmod(0o777)
    for path in (open_path / "stack", *(open_path / "stack").rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    before = snapshot(open_path)
    path = open_path / "stack" / protected
    path.chmod(0o555 if path.is_dir() else 0o444)

    def work():
        with pytest.raises(PermissionError, match=str(open_path)):
            new.to_kilosort(open_path / "stack", **options)

    passed = as_nobody(work)
    path.chmod(0o777)
    assert passed
    assert snapshot(open_path) == before
    assert leftovers(open_path) == []
    count["refused, old bytes intact"] += 1


@pytest.mark.parametrize("name", EXPORTS)
def test_symbolic_link(name, tmp_path, count):
    """A link is followed to what it names, and stays a link."""
    export = EXPORTS[name]
    old, new = recordings()
    export(new, tmp_path / "fresh" / export.target)
    export(old, tmp_path / "real" / export.target)
    link = tmp_path / "links" / export.target
    link.parent.mkdir()
    for named in (f"../real/{export.target}", f"../nothing/{export.target}"):
        if named.startswith("../nothing"):
            link.unlink()
        link.symlink_to(named)
        export(new, link)
        assert link.is_symlink()
        folder = (link.parent / named).parent
        assert visible(folder) == visible(tmp_path / "fresh")
        count["followed"] += 1


@pytest.mark.parametrize("name", EXPORTS)
def test_permissions(name, tmp_path, count):
    """A new file obeys the umask; a replaced one keeps its permissions."""
    export = EXPORTS[name]
    old, new = recordings()
    for mask in (0o022, 0o077, 0o002):
        before = os.umask(mask)
        try:
            export(old, tmp_path / oct(mask) / export.target)
        finally:
            os.umask(before)
        for path in files(tmp_path / oct(mask)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
            path.chmod(0o640)
        export(new, tmp_path / oct(mask) / export.target)
        if not export.is_folder:
            assert {
                stat.S_IMODE(p.stat().st_mode) for p in files(tmp_path / oct(mask))
            } == {0o640}
        count["kept"] += 1


def files(folder):
    """All files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", EXPORTS)
def test_leftovers_are_not_in_the_way(name, tmp_path, count):
    """What a killed process left is neither read nor met."""
    export = EXPORTS[name]
    old, new = recordings()
    left = tmp_path / f".{export.target}.0123456789ab{STAGED_SUFFIX}"
    if export.is_folder:
        left.mkdir()
        (left / "spike_times.npy").write_bytes(b"half")
    else:
        left.write_bytes(b"half")
    for sd in (old, new):
        export(sd, tmp_path / export.target)
    export(new, tmp_path / "fresh" / export.target)
    found = visible(tmp_path)
    assert {k: v for k, v in found.items() if not k.startswith("fresh")} == visible(
        tmp_path / "fresh"
    )
    assert left.exists()
    count["ignored"] += 1

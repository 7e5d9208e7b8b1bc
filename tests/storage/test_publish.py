"""What is published whole: files and folders, on the local disk."""

import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from contract import snapshot
from stress.processes import ended, forked

from spikelab.errors import FormatError, IncompleteExportError
from spikelab.storage import local
from spikelab.storage.local import STAGED_SUFFIX
from spikelab.storage.manifest import MANIFEST, read_manifest, write_manifest
from spikelab.storage.publish import local_copy, publish

PATTERNS = ("*.npy", "params.py")


def leftovers(folder):
    """Temporary names below a folder."""
    return [p for p in folder.rglob("*") if p.name.endswith(STAGED_SUFFIX)]


def export(folder, contents, conflicting=PATTERNS):
    """Publish `contents`, text by name, as an exported folder."""
    with publish(folder, folder=True, conflicting=conflicting) as staged:
        for name, text in contents.items():
            (staged / name).write_text(text)
        write_manifest(staged, {"format": "test"})


def texts(folder):
    """What a folder holds, without its manifest."""
    return {p.name: p.read_text() for p in folder.iterdir() if p.name != MANIFEST}


def mode(path):
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """Set the umask for a test."""
    before = os.umask(0o077)
    os.umask(before)
    yield os.umask
    os.umask(before)


class TestFile:
    """A single file."""

    def test_a_file_appears_whole(self, tmp_path):
        """Nothing is at the target until the block has ended."""
        with publish(tmp_path / "a.h5") as staged:
            staged.write_text("half")
            assert not (tmp_path / "a.h5").exists()
            assert staged.parent == tmp_path
        assert snapshot(tmp_path) == {"a.h5": b"half"}

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
    def test_a_failed_block_changes_nothing(self, error, tmp_path):
        """Old bytes stay, and no temporary file does."""
        (tmp_path / "a.h5").write_text("old")

        def export_half():
            with publish(tmp_path / "a.h5") as staged:
                staged.write_text("new")
                raise error

        with pytest.raises(error):
            export_half()
        assert snapshot(tmp_path) == {"a.h5": b"old"}

    def test_parents_are_made_and_removed_again(self, tmp_path):
        """A failed export leaves no empty folders, a successful one keeps them."""
        target = tmp_path / "a" / "b" / "c.h5"
        with pytest.raises(ValueError, match="no"), publish(target):
            raise ValueError("no")
        assert list(tmp_path.iterdir()) == []
        with publish(target):
            pass
        assert target.exists()

    def test_parents_made_in_part_are_removed(self, tmp_path, monkeypatch):
        """Also if the second of two folders cannot be made."""
        real = Path.mkdir

        def mkdir(self, *args, **kwargs):
            if self.name == "b":
                raise PermissionError("not here")
            real(self, *args, **kwargs)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        with pytest.raises(PermissionError), publish(tmp_path / "a" / "b" / "c"):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_permissions_of_a_replaced_file_are_kept(self, tmp_path):
        """Shared stays shared, read-only stays read-only."""
        for bits in (0o664, 0o600, 0o444):
            target = tmp_path / f"{bits}"
            target.write_text("old")
            target.chmod(bits)
            with publish(target) as staged:
                staged.write_text("new")
            assert (mode(target), target.read_text()) == (bits, "new")

    def test_a_new_file_obeys_the_umask(self, tmp_path, umask):
        """As every other file that the user makes."""
        for mask in (0o022, 0o002, 0o077):
            umask(mask)
            with publish(tmp_path / f"{mask}") as staged:
                staged.write_text("new")
            assert mode(tmp_path / f"{mask}") == 0o666 & ~mask

    def test_a_link_is_followed(self, tmp_path):
        """The file that a link names is replaced, and the link stays one."""
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk" / "real.h5").write_text("old")
        link = tmp_path / "link.h5"
        link.symlink_to("disk/real.h5")
        with publish(link) as staged:
            staged.write_text("new")
        assert link.is_symlink()
        assert (tmp_path / "disk" / "real.h5").read_text() == "new"

    def test_a_link_to_nothing_gets_its_file(self, tmp_path):
        """Folders on the way to it are made too."""
        link = tmp_path / "link.h5"
        link.symlink_to("later/real.h5")
        with publish(link) as staged:
            staged.write_text("new")
        assert (tmp_path / "later" / "real.h5").read_text() == "new"

    def test_a_failed_rename_changes_nothing(self, tmp_path, monkeypatch):
        """The last step can fail too."""
        (tmp_path / "a").write_text("old")

        def fail(source, target):
            raise OSError("no renaming today")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no renaming"), publish(tmp_path / "a"):
            pass
        assert snapshot(tmp_path) == {"a": b"old"}

    def test_a_folder_is_no_file(self, tmp_path):
        """The error says what was expected and what is there."""
        expected = pytest.raises(
            IsADirectoryError, match="must name a file, got a folder"
        )
        with expected, publish(tmp_path):
            pass

    def test_a_pipe_is_no_file(self, tmp_path):
        """A device or a pipe is refused, and not replaced by a file."""
        os.mkfifo(tmp_path / "pipe")
        expected = pytest.raises(OSError, match="must name a regular file")
        with expected, publish(tmp_path / "pipe"):
            pass
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)

    def test_a_name_of_full_length(self, tmp_path):
        """The temporary name must not be too long where the target's is not."""
        for name in ("x" * 255, "ü" * 127):
            with publish(tmp_path / name) as staged:
                staged.write_text("new")
            assert (tmp_path / name).read_text() == "new"

    @pytest.mark.parametrize(
        ("target", "error"), [("", ValueError), (None, TypeError), (3, TypeError)]
    )
    def test_what_is_no_path(self, target, error):
        """An empty name would be the current folder."""
        with pytest.raises(error, match="filepath must"), publish(target):
            pass

    def test_a_leftover_is_never_in_the_way(self, tmp_path):
        """A killed process leaves a name that the next one does not meet."""
        code = (
            "import os, signal, sys\n"
            "from spikelab.storage.publish import publish\n"
            "with publish(sys.argv[1]) as staged:\n"
            "    staged.write_text('half')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        (tmp_path / "a").write_text("old")
        for _ in range(2):
            subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=False)
        assert (tmp_path / "a").read_text() == "old"
        assert len(leftovers(tmp_path)) == 2
        with publish(tmp_path / "a") as staged:
            staged.write_text("new")
        assert (tmp_path / "a").read_text() == "new"


class TestFolder:
    """A folder of files with its manifest."""

    def test_a_new_folder_appears_whole(self, tmp_path):
        """With one rename."""
        with publish(tmp_path / "new" / "ks", folder=True) as staged:
            (staged / "a.npy").write_text("a")
            write_manifest(staged, {"format": "test"})
            assert not (tmp_path / "new" / "ks").exists()
        assert texts(tmp_path / "new" / "ks") == {"a.npy": "a"}
        manifest = read_manifest(tmp_path / "new" / "ks")
        assert manifest == {"format": "test", "complete": True, "files": ["a.npy"]}
        assert leftovers(tmp_path) == []

    def test_an_earlier_export_goes_and_notes_stay(self, tmp_path):
        """Its files and what readers would take for them, nothing else."""
        folder = tmp_path / "ks"
        export(folder, {"a.npy": "1", "b.dat": "1", "params.py": "1"})
        (folder / "notes.txt").write_text("mine")
        (folder / "made_by_phy.npy").write_text("phy")
        export(folder, {"a.npy": "2"})
        assert texts(folder) == {"a.npy": "2", "notes.txt": "mine"}
        assert leftovers(tmp_path) == []

    def test_a_folder_that_is_there_but_empty(self, tmp_path):
        """It stays the same folder, with its permissions."""
        folder = tmp_path / "ks"
        folder.mkdir(mode=0o700)
        number = folder.stat().st_ino
        export(folder, {"a.npy": "1"})
        assert texts(folder) == {"a.npy": "1"}
        assert (folder.stat().st_ino, mode(folder)) == (number, 0o700)

    def test_a_folder_in_a_read_only_parent(self, tmp_path):
        """A folder that is there is changed from within."""
        parent = tmp_path / "lab"
        (parent / "mine").mkdir(parents=True)
        before = list(parent.iterdir())
        with publish(parent / "mine", folder=True) as staged:
            assert list(parent.iterdir()) == before
            assert staged.parent == parent / "mine"
            write_manifest(staged, {})
        assert leftovers(parent) == []

    def test_files_of_another_program_are_not_touched(self, tmp_path):
        """A sorter's own output would contradict the export: refuse to mix."""
        (tmp_path / "templates.npy").write_text("sorter")
        (tmp_path / "a.npy").write_text("sorter")
        before = snapshot(tmp_path)
        with pytest.raises(FileExistsError, match=r"another program .*templates\.npy"):
            export(tmp_path, {"a.npy": "1"})
        assert snapshot(tmp_path) == before

    def test_arrays_of_the_same_name_are_replaced(self, tmp_path):
        """The two arrays of KiloSort without a manifest, as spikelab 0.1.2 leaves them."""
        (tmp_path / "spike_times.npy").write_text("published")
        export(tmp_path, {"spike_times.npy": "1"})
        assert texts(tmp_path) == {"spike_times.npy": "1"}

    def test_a_folder_of_another_program_with_the_same_files_stays(self, tmp_path):
        """Even if the export would have a file in the place of each of them."""
        (tmp_path / "spike_times.npy").write_text("sorter")
        (tmp_path / "templates.npy").write_text("sorter")
        before = snapshot(tmp_path)
        with pytest.raises(FileExistsError, match=r"another program .*templates\.npy"):
            export(tmp_path, {"spike_times.npy": "1", "templates.npy": "1"})
        assert snapshot(tmp_path) == before

    def test_other_files_of_the_same_name_are_never_replaced(self, tmp_path):
        """A recording that lies there is not an array that was exported."""
        export(tmp_path, {"a.npy": "1"})
        (tmp_path / "recording.dat").write_text("irreplaceable")
        before = snapshot(tmp_path)
        with pytest.raises(FileExistsError, match=r"recording\.dat"):
            export(tmp_path, {"a.npy": "2", "recording.dat": "2"})
        assert snapshot(tmp_path) == before

    def test_permissions_of_replaced_files_are_kept(self, tmp_path):
        """File by file."""
        export(tmp_path, {"a.npy": "1"})
        (tmp_path / "a.npy").chmod(0o640)
        (tmp_path / MANIFEST).chmod(0o604)
        export(tmp_path, {"a.npy": "2"})
        assert mode(tmp_path / "a.npy") == 0o640
        assert mode(tmp_path / MANIFEST) == 0o604

    def test_every_failing_rename_is_undone(self, tmp_path, monkeypatch):
        """Whichever it is, the earlier export is there as it was, and is complete."""
        folder = tmp_path / "ks"
        export(folder, {"a.npy": "1", "gone.npy": "1"})
        (folder / "notes.txt").write_text("mine")
        before, real = snapshot(tmp_path), os.replace

        for failing in range(20):
            calls = []

            def replace(source, target, calls=calls, failing=failing):
                calls.append(target)
                if len(calls) == failing + 1:
                    raise OSError("no renaming today")
                real(source, target)

            monkeypatch.setattr(os, "replace", replace)
            try:
                export(folder, {"a.npy": "2", "b.npy": "2"})
            except OSError:
                assert snapshot(tmp_path) == before, failing
                assert read_manifest(folder)["files"] == [
                    "a.npy",
                    "gone.npy",
                ]
            else:
                break
        assert failing == 6
        assert texts(folder) == {"a.npy": "2", "b.npy": "2", "notes.txt": "mine"}

    @pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
    def test_half_a_copy_of_the_manifest_is_not_put_back(
        self, error, tmp_path, monkeypatch
    ):
        """If the disk is full, or the user stops, just then."""
        export(tmp_path / "ks", {"a.npy": "old"})
        before = snapshot(tmp_path)

        def half(source, folder):
            (folder / source.name).write_text("{")
            raise error

        monkeypatch.setattr(shutil, "copy2", half)
        with pytest.raises(error):
            export(tmp_path / "ks", {"a.npy": "new"})
        assert snapshot(tmp_path) == before

    @pytest.mark.parametrize("step", ["replace", "fsync"])
    def test_ctrl_c_at_each_step(self, step, tmp_path, monkeypatch):
        """What is there is the old or the new export; no lock and no copy stays."""
        real, states, outcomes = getattr(os, step), [], []
        for version in ("old", "new"):
            export(tmp_path / "ks", {"a.npy": version, f"{version}.npy": version})
            states.append(snapshot(tmp_path))
        while outcomes[-1:] != ["done"]:
            export(tmp_path / "ks", {"a.npy": "old", "old.npy": "old"})
            calls, failing = [], len(outcomes) + 1

            def interrupted(*arguments, calls=calls, failing=failing):
                calls.append(arguments)
                if len(calls) == failing:
                    raise KeyboardInterrupt
                real(*arguments)

            monkeypatch.setattr(os, step, interrupted)
            try:
                export(tmp_path / "ks", {"a.npy": "new", "new.npy": "new"})
                outcomes.append("done")
            except KeyboardInterrupt:
                outcomes.append(("old", "new")[states.index(snapshot(tmp_path))])
            monkeypatch.setattr(os, step, real)
        assert outcomes.count("old") >= 5
        assert snapshot(tmp_path) == states[1]

    def test_a_failed_undoing_keeps_the_backup(self, tmp_path, monkeypatch):
        """If the disk gives up altogether, nothing of the earlier export is removed."""
        export(tmp_path / "ks", {"a.npy": "old"})
        real, calls = os.replace, []

        def replace(source, target):
            calls.append(target)
            if len(calls) > 2:
                raise OSError("no renaming any more")
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(OSError, match="any more"):
            export(tmp_path / "ks", {"a.npy": "new"})
        assert b"old" in snapshot(tmp_path).values()
        with pytest.raises(IncompleteExportError, match="was interrupted"):
            read_manifest(tmp_path / "ks")

    @pytest.mark.parametrize("stop_at", range(1, 7))
    def test_an_interrupted_exchange_is_recognised(self, stop_at, tmp_path):
        """Killed between renames: old, new, or refused; and the next export heals it."""
        folder = tmp_path / "ks"
        export(folder, {"a.npy": "old", "b.dat": "old"})
        before = texts(folder)
        code = (
            "import os, signal, sys\n"
            "from pathlib import Path\n"
            "from spikelab.storage.manifest import write_manifest\n"
            "from spikelab.storage.publish import publish\n"
            "real, calls = os.replace, []\n"
            "def replace(a, b):\n"
            "    real(a, b)\n"
            "    calls.append(b)\n"
            f"    if len(calls) == {stop_at}: os.kill(os.getpid(), signal.SIGKILL)\n"
            "os.replace = replace\n"
            "with publish(sys.argv[1], folder=True, conflicting=('*.npy',)) as s:\n"
            "    for n in ('a.npy', 'c.dat'): (s / n).write_text('new')\n"
            "    write_manifest(s, {})\n"
        )
        done = subprocess.run([sys.executable, "-c", code, folder], check=False)
        assert done.returncode == -9
        found = texts_without_leftovers(folder)
        try:
            read_manifest(folder)
        except IncompleteExportError:
            pass
        else:
            assert found in (before, {"a.npy": "new", "c.dat": "new"})
        export(folder, {"a.npy": "3"})
        assert texts_without_leftovers(folder) == {"a.npy": "3"}

    def test_a_link_is_followed(self, tmp_path):
        """The folder that a link names is changed, and the link stays one."""
        (tmp_path / "disk").mkdir()
        (tmp_path / "link").symlink_to("disk")
        export(tmp_path / "link", {"a.npy": "1"})
        assert (tmp_path / "link").is_symlink()
        assert texts(tmp_path / "disk") == {"a.npy": "1"}

    def test_a_linked_entry_is_replaced_and_its_file_stays(self, tmp_path):
        """An export does not write through links inside of its folder."""
        (tmp_path / "elsewhere.npy").write_text("precious")
        (tmp_path / "ks").mkdir()
        entry = tmp_path / "ks" / "spike_times.npy"
        entry.symlink_to("../elsewhere.npy")
        export(tmp_path / "ks", {entry.name: "1"})
        assert (tmp_path / "elsewhere.npy").read_text() == "precious"
        assert not entry.is_symlink()

    def test_a_file_is_no_folder(self, tmp_path):
        """The error says what was expected and what is there."""
        (tmp_path / "a").write_text("mine")
        with pytest.raises(NotADirectoryError, match="must name a folder, got a file"):
            export(tmp_path / "a", {})

    def test_a_second_export_at_once_is_refused(self, tmp_path):
        """It does not wait, and the first one is not disturbed."""
        folder = tmp_path / "ks"
        export(folder, {"a.npy": "0"})
        with publish(folder, folder=True, conflicting=PATTERNS) as staged:
            (staged / "a.npy").write_text("first")
            write_manifest(staged, {})
            with pytest.raises(BlockingIOError, match=r"another export .*ks"):
                export(folder, {"a.npy": "second"})
        assert texts(folder) == {"a.npy": "first"}
        export(folder, {"a.npy": "third"})
        assert texts(folder) == {"a.npy": "third"}
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
    def test_a_lock_ends_with_the_export(self, error, tmp_path):
        """Also if it is interrupted."""
        export(tmp_path / "ks", {"a.npy": "0"})

        def interrupted():
            with publish(tmp_path / "ks", folder=True):
                raise error

        with pytest.raises(error):
            interrupted()
        export(tmp_path / "ks", {"a.npy": "1"})
        assert texts(tmp_path / "ks") == {"a.npy": "1"}

    def test_a_lock_does_not_live_on_in_a_forked_process(self, tmp_path):
        """Which has all that was open when it began."""
        export(tmp_path / "f", {"a.npy": "old"})
        with publish(tmp_path / "f", folder=True) as staged:
            (staged / "a.npy").write_text("new")
            write_manifest(staged, {})
            child = forked(lambda: time.sleep(60))
        try:
            export(tmp_path / "f", {"a.npy": "newer"})
        finally:
            os.kill(child, signal.SIGKILL)
            ended(child)
        assert texts(tmp_path / "f") == {"a.npy": "newer"}

    @pytest.mark.parametrize("error", [None, FileNotFoundError, FormatError])
    def test_a_reader_notices_an_export(self, error, tmp_path):
        """Whatever it read, or could not read, in between."""
        export(tmp_path / "f", {"a.npy": "old"})

        def read():
            with local_copy(tmp_path / "f", name="folder"):
                export(tmp_path / "f", {"a.npy": "new"})
                if error is not None:
                    raise error("half of it")

        with pytest.raises(IncompleteExportError, match="exported again while it was"):
            read()

    def test_errors_of_a_reader_are_its_own(self, tmp_path):
        """As long as nothing changed in the folder."""
        export(tmp_path / "f", {"a.npy": "old"})

        def read():
            with local_copy(tmp_path / "f", name="folder"):
                raise FormatError("damaged")

        with pytest.raises(FormatError, match="damaged"):
            read()

    def test_locks_are_not_needed(self, tmp_path, monkeypatch):
        """Some network file systems have none, and neither has Windows."""
        export(tmp_path, {"a.npy": "1"})

        def fail(descriptor, how):
            raise OSError(errno.ENOLCK, "no locks available")

        monkeypatch.setattr(local.fcntl, "flock", fail)
        export(tmp_path, {"a.npy": "2"})
        assert texts(tmp_path) == {"a.npy": "2"}
        monkeypatch.setattr(local, "fcntl", None)
        export(tmp_path, {"a.npy": "3"})
        assert texts(tmp_path) == {"a.npy": "3"}

    @pytest.mark.parametrize("exists", [True, False])
    def test_two_exports_at_once(self, exists, tmp_path):
        """What is there is of one of the two, whole; an export that met is refused."""
        folder = tmp_path / "ks"
        if exists:
            export(folder, {"a.npy": "0", "b.npy": "0"})
        ready, done, refused = threading.Barrier(2), [], []

        def run(text):
            for _ in range(10):
                ready.wait()
                try:
                    export(folder, {"a.npy": text, "b.npy": text, f"{text}.npy": text})
                except OSError as error:
                    refused.append(error.errno)
                else:
                    done.append(text)

        threads = [threading.Thread(target=run, args=(text,)) for text in "12"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = texts(folder)
        assert found in [{"a.npy": t, "b.npy": t, f"{t}.npy": t} for t in set(done)]
        assert read_manifest(folder)["files"] == sorted(found)
        assert len(done) >= 10
        assert set(refused) <= {errno.EAGAIN, errno.ENOTEMPTY}
        assert leftovers(tmp_path) == []


class TestPaths:
    """How a local target may be written."""

    def test_the_home_folder(self, tmp_path, monkeypatch):
        """``~`` is no folder of that name, for targets and for sources."""
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        monkeypatch.chdir(tmp_path)
        with publish("~/lab/a.h5") as staged:
            staged.write_text("cells")
        assert snapshot(tmp_path) == {"home/lab/a.h5": b"cells"}
        with local_copy(Path("~/lab/a.h5")) as path:
            assert path == tmp_path / "home/lab/a.h5"

    @pytest.mark.parametrize(
        "name",
        ["a b/x y ", "µ 日本/🧠", "a\nb", "a%20b?c#d*[e]", "-x", "~a/~"],
    )
    def test_any_name(self, name, tmp_path, monkeypatch):
        """Files and folders go where the user says, and are found there."""
        monkeypatch.chdir(tmp_path)
        with publish(f"{name}.h5") as staged:
            staged.write_text("cells")
        with local_copy(f"{name}.h5") as path:
            assert path.read_text() == Path(f"{name}.h5").read_text() == "cells"
        for text in "12":
            export(name, {"a.npy": text})
            assert texts(Path(name)) == {"a.npy": text}

    def test_colons_and_slashes_in_local_names(self, tmp_path, monkeypatch):
        """A folder may be called like the drive of another system."""
        monkeypatch.chdir(tmp_path)
        with publish("data:/a.h5") as staged:
            staged.write_text("cells")
        assert snapshot(tmp_path) == {"data:/a.h5": b"cells"}

    def test_a_url_that_lacks_a_slash(self, tmp_path, monkeypatch):
        """It names no folder called s3:."""
        monkeypatch.chdir(tmp_path)
        with (
            pytest.raises(ValueError, match=r"with ://.* got 's3:/lab/a\.h5'"),
            publish("s3:/lab/a.h5"),
        ):
            pass
        assert not snapshot(tmp_path)


class TestCleaningUp:
    """What fails after the new bytes are in place."""

    def test_is_no_error_of_a_file(self, tmp_path, monkeypatch):
        """The export succeeded."""
        real = os.replace

        def replace_and_break(source, target):
            real(source, target)
            monkeypatch.setattr(Path, "unlink", failing)
            monkeypatch.setattr(os, "fsync", failing)

        monkeypatch.setattr(os, "replace", replace_and_break)
        with publish(tmp_path / "a") as staged:
            staged.write_text("new")
        assert snapshot(tmp_path) == {"a": b"new"}

    def test_is_no_error_of_a_folder(self, tmp_path, monkeypatch):
        """Neither of a new one nor of one that existed."""
        for text in ("1", "2"):
            with monkeypatch.context() as patched:
                real = os.replace

                def replace_and_break(source, target, patched=patched, real=real):
                    real(source, target)
                    if Path(target).name in ("ks", MANIFEST) and (
                        read_manifest_or_none(tmp_path / "ks")
                    ):
                        patched.setattr(os, "fsync", failing)
                        patched.setattr(os, "rmdir", failing)

                patched.setattr(os, "replace", replace_and_break)
                export(tmp_path / "ks", {"a.npy": text})
            assert texts_without_leftovers(tmp_path / "ks") == {"a.npy": text}
            assert read_manifest(tmp_path / "ks")["files"] == ["a.npy"]


def failing(*arguments, **options):
    """Take the place of a function of the operating system."""
    raise OSError(errno.EIO, "the disk is gone")


def read_manifest_or_none(folder):
    """The manifest of a folder that is complete."""
    try:
        return read_manifest(folder)
    except IncompleteExportError:
        return None


def texts_without_leftovers(folder):
    """What a folder holds, without its manifest and what a killed export left."""
    names = [p for p in folder.iterdir() if not p.name.endswith(STAGED_SUFFIX)]
    return {p.name: p.read_text() for p in names if p.name != MANIFEST}


class TestManifest:
    """The file that completes a folder."""

    def test_none(self, tmp_path):
        """A folder from elsewhere has none."""
        assert read_manifest(tmp_path) is None

    def test_a_listed_file_that_is_gone(self, tmp_path):
        """The error names it."""
        export(tmp_path, {"a.npy": "1"})
        (tmp_path / "a.npy").unlink()
        with pytest.raises(
            IncompleteExportError, match=r"a\.npy, which spikelab\.json"
        ):
            read_manifest(tmp_path)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            '{"complete": 1, "files": []}',
            '{"complete": true, "files": ["../a"]}',
            '{"complete": true, "files": [3]}',
            "[" * 100_000,
            "\xff",
        ],
    )
    def test_what_is_no_manifest(self, text, tmp_path):
        """Broken or hostile: one clear error."""
        (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))
        with pytest.raises(
            FormatError, match=r"spikelab\.json is not a spikelab manifest"
        ):
            read_manifest(tmp_path)

    def test_it_is_json_that_people_can_read(self, tmp_path):
        """Facts first, one per line."""
        export(tmp_path, {"a.npy": "1"})
        text = (tmp_path / MANIFEST).read_text()
        assert json.loads(text)["format"] == "test"
        assert text.count("\n") > 3

"""What every format owes its users; the tests of a format inherit it."""

import os
import resource
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from recordings import assert_same_recording, linear_track, recordings, simulated

from spikelab import SpikeData, load
from spikelab.errors import LossError, VerificationError
from spikelab.registry import FORMATS
from spikelab.spikedata.differences import equal
from spikelab.storage.local import STAGED_SUFFIX


def snapshot(folder):
    """The bytes of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@contextmanager
def files_limited_to(n_bytes):
    """Let every write beyond `n_bytes` of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


class FormatContract:
    """Round trips, refusals and failures, the same for every format.

    A subclass names the target and the options, and may say what the format
    cannot do.
    """

    method: str
    """The export method, and with it the function of the same format."""

    target: str
    """Name of the file or folder."""

    options: dict = {}

    keeps_all = False
    """Whether nothing that an object holds is lost."""

    wrong_options: tuple[dict, ...] = ()
    """Options that must be refused when the writer is made."""

    def slack_ms(self, sd):
        """How far the format may move a time: by default not at all."""
        return 0.0

    def writes(self, sd):
        """Whether the format can hold this recording."""
        return True

    def export(self, sd, target, **options):
        """Export without the warnings that the format gives for this recording."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return getattr(sd, self.method)(target, **{**self.options, **options})

    def load(self, target):
        """Load without repeating a parameter."""
        return load(target)

    def round_trip(self, sd, folder):
        """Export and load without repeating a parameter."""
        target = folder / self.target
        self.export(sd, target)
        assert_same_recording(self.load(target), sd, self.slack_ms(sd))

    def test_edge_cases_come_back(self, edge_case, tmp_path):
        """Units, order, window and spikes survive, silence included."""
        if self.writes(edge_case):
            self.round_trip(edge_case, tmp_path)

    def test_the_real_recording_comes_back(self, tmp_path):
        """37 units, 6 of them silent, 28,829 spikes, and a late start."""
        self.round_trip(linear_track(), tmp_path)

    @given(sd=recordings())
    @settings(max_examples=25)
    def test_any_recording_comes_back(self, sd, tmp_path):
        """Whatever the trains and the window are."""
        if self.writes(sd):
            self.round_trip(sd, tmp_path)

    def test_the_same_object_gives_the_same_bytes(self, tmp_path, monkeypatch):
        """Two exports of one object cannot be told apart."""
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        for name in ("first", "second"):
            self.export(simulated(), tmp_path / name / self.target)
        assert snapshot(tmp_path / "first") == snapshot(tmp_path / "second")

    def test_parents_are_made_and_a_string_returned(self, tmp_path):
        """An export into a folder that does not exist yet says where it wrote."""
        target = tmp_path / "new" / "deep" / self.target
        written = self.export(simulated(), str(target))
        for path in written if isinstance(written, tuple) else (written,):
            assert isinstance(path, str)
            assert Path(path).exists()
            assert path.startswith(str(target))

    def test_the_home_folder_stands_for_a_tilde(self, tmp_path, monkeypatch):
        """What an export returns is the path that it wrote."""
        monkeypatch.setenv("HOME", str(tmp_path))
        written = self.export(simulated(), f"~/{self.target}")
        for path in written if isinstance(written, tuple) else (written,):
            assert Path(path).is_relative_to(tmp_path)
            assert Path(path).exists()

    def test_an_earlier_export_is_replaced(self, tmp_path):
        """What is loaded after a second export is the second recording, alone."""
        self.export(simulated(seed=1, n_units=9), tmp_path / self.target)
        self.round_trip(simulated(seed=2), tmp_path)
        fresh = tmp_path / "fresh"
        self.export(simulated(seed=2), fresh / self.target)
        assert {name.split("/")[-1] for name in snapshot(fresh)} == {
            name.split("/")[-1] for name in snapshot(tmp_path / self.target)
        } or (tmp_path / self.target).is_file()

    @pytest.mark.parametrize("time", [np.nan, np.inf, -np.inf, -1.0, 1e9])
    def test_times_that_went_wrong_later_are_refused(self, time, tmp_path):
        """A recording that was changed after it was made is checked again."""
        sd = simulated()
        self.export(sd, tmp_path / self.target)
        before = snapshot(tmp_path)
        sd.train[2][0] = time
        with pytest.raises(ValueError, match=f"unit 2: spike times must .* got {time}"):
            self.export(sd, tmp_path / self.target)
        assert snapshot(tmp_path) == before

    def test_wrong_options_leave_the_target_alone(self, tmp_path):
        """Each wrong option is a ValueError or TypeError, and the old bytes stay."""
        self.export(simulated(), tmp_path / self.target)
        before = snapshot(tmp_path)
        for wrong in self.wrong_options:
            with pytest.raises((ValueError, TypeError), match="must"):
                self.export(simulated(seed=3), tmp_path / self.target, **wrong)
            assert snapshot(tmp_path) == before, wrong

    def test_a_full_disk_leaves_the_target_alone(self, tmp_path):
        """A write that fails half-way is an OSError; old bytes stay, nothing new."""
        self.export(simulated(), tmp_path / self.target)
        before = snapshot(tmp_path)
        with files_limited_to(100), pytest.raises(OSError, match=r"\w"):
            self.export(simulated(seed=4, n_units=20), tmp_path / self.target)
        assert snapshot(tmp_path) == before

    def test_a_failed_rename_leaves_the_target_alone(self, tmp_path, monkeypatch):
        """If publishing itself fails, old bytes stay and no temporary file does."""
        self.export(simulated(), tmp_path / self.target)
        before = snapshot(tmp_path)
        real, calls = os.replace, []

        def failing(source, target):
            calls.append(target)
            if len(calls) == 1:
                raise OSError("no renaming today")
            real(source, target)

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(OSError, match="no renaming today"):
            self.export(simulated(seed=4, n_units=9), tmp_path / self.target)
        assert snapshot(tmp_path) == before
        assert not [p for p in tmp_path.rglob("*") if p.name.endswith(STAGED_SUFFIX)]

    def test_nothing_of_a_failed_first_export_stays(self, tmp_path):
        """No file, no temporary file, and no folder that was made for it."""
        with files_limited_to(100), pytest.raises(OSError, match=r"\w"):
            self.export(simulated(n_units=20), tmp_path / "new" / self.target)
        assert list(tmp_path.iterdir()) == []

    def test_a_parent_that_is_a_file_is_refused(self, tmp_path):
        """The error names what is in the way."""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(NotADirectoryError, match="must be a folder"):
            self.export(simulated(), tmp_path / "file" / self.target)
        assert snapshot(tmp_path) == {"file": b"mine"}

    def test_what_is_no_data_object_is_a_type_error(self, tmp_path):
        """The method's function says what it expects and what it got."""
        function = getattr(SpikeData, self.method)
        with pytest.raises(
            TypeError, match=r"Expected a spikelab data object .* got dict"
        ):
            function({"train": []}, tmp_path / self.target, **self.options)
        assert list(tmp_path.iterdir()) == []

    def test_strict_refuses_what_would_be_lost(self, tmp_path):
        """An export that is not whole is an error that says in words what is lost."""
        sd = simulated()
        if self.keeps_all:
            self.export(sd, tmp_path / self.target, strict=True)
            assert equal(self.load(tmp_path / self.target), sd)
            return
        with pytest.raises(LossError, match=f"{self.method} would lose .*metadata"):
            self.export(sd, tmp_path / self.target, strict=True)
        assert list(tmp_path.iterdir()) == []

    def test_verify_reads_back_before_publishing(self, tmp_path):
        """A verified export passes for every recording that the format can hold."""
        self.export(simulated(), tmp_path / self.target, verify=True)
        assert_same_recording(
            self.load(tmp_path / self.target), simulated(), self.slack_ms(simulated())
        )

    def test_a_damaged_staged_file_is_not_published(self, tmp_path):
        """With verify, what was staged is compared with the object; old bytes stay."""
        self.export(simulated(), tmp_path / self.target)
        before = snapshot(tmp_path)
        name = self.method.removeprefix("to_")
        made = FORMATS[name].export.writer(**{**self.options, "verify": True})

        class Damaging(type(made)):
            """Writes another recording than it is given."""

            def _write(self, obj, *staged):
                other = simulated(seed=9, n_units=simulated().N)
                super()._write(self._prepared(other), *staged)

        options = {f.alias: getattr(made, f.name) for f in attrs.fields(type(made))}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            with pytest.raises(VerificationError, match="differ"):
                Damaging(**options).write(simulated(), tmp_path / self.target)
        assert snapshot(tmp_path) == before


class FileContract(FormatContract):
    """What formats of a single file owe beyond."""

    def test_a_name_that_ends_like_a_folder_is_no_target(self, tmp_path):
        """No file is written under another name than the one that is returned."""
        with pytest.raises(IsADirectoryError, match="must name a file, got a folder"):
            self.export(simulated(), f"{tmp_path}/{self.target}/")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_is_no_target(self, tmp_path):
        """A folder in the place of the file is refused and stays."""
        (tmp_path / self.target).mkdir()
        with pytest.raises(IsADirectoryError, match="must name a file"):
            self.export(simulated(), tmp_path / self.target)
        assert (tmp_path / self.target).is_dir()


class FolderContract(FormatContract):
    """What formats of a folder owe beyond."""

    def test_a_file_is_no_target(self, tmp_path):
        """A file in the place of the folder is refused and stays."""
        (tmp_path / self.target).write_text("mine")
        with pytest.raises(NotADirectoryError, match="must name a folder"):
            self.export(simulated(), tmp_path / self.target)
        assert snapshot(tmp_path) == {self.target: b"mine"}

    def test_other_files_in_the_folder_stay(self, tmp_path):
        """Notes that someone keeps beside the export are not touched."""
        self.export(simulated(), tmp_path / self.target)
        note = tmp_path / self.target / "notes.txt"
        note.write_text("cell 3 is lovely")
        self.export(simulated(seed=5), tmp_path / self.target)
        assert note.read_text() == "cell 3 is lovely"

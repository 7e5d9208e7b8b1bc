"""Exports that are killed at any moment, and exports that meet."""

import errno
import os

import pytest
from contract import snapshot
from stress.exports import EXPORTS, FACTOR, leftovers, recordings, visible
from stress.processes import duration, ended, forked, killed, moments

from spikelab import load
from spikelab.errors import FormatError, IncompleteExportError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")

KILLS = 4 * FACTOR

REFUSED = (errno.EAGAIN, errno.ENOTEMPTY, errno.EEXIST)


def outcome(export, folder, before, after):
    """Return in words what a reader finds where `before` was to become `after`."""
    found = visible(folder)
    if found == after:
        return "new"
    if found == before:
        return "old"
    assert export.is_folder
    with pytest.raises(IncompleteExportError):
        load(folder / export.target)
    return "recognised as incomplete"


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("earlier", ["over nothing", "over an export"])
def test_kill(name, earlier, tmp_path, count):
    """The target is the old one or the new one, whole, and the next export works."""
    export = EXPORTS[name]
    first, second = recordings()
    states = {}
    for key, sd in (("first", first), ("second", second)):
        export(sd, tmp_path / key / export.target)
        states[key] = visible(tmp_path / key)
    folder = tmp_path / "work"
    folder.mkdir()
    work = lambda: export(second, folder / export.target)  # noqa: E731
    export(first, folder / export.target)
    longest = max(duration(work) for _ in range(3))
    for _, moment in zip(range(KILLS), moments(name + earlier, longest), strict=False):
        before = {}
        if earlier == "over an export":
            export(first, folder / export.target)
            before = states["first"]
            assert visible(folder) == before
        else:
            remove(folder / export.target)
        in_time = killed(work, moment)
        assert set(folder.iterdir()) <= {folder / export.target, *leftovers(folder)}
        found = outcome(export, folder, before, states["second"])
        count[found if in_time else "finished before the kill"] += 1
    export(first, folder / export.target)
    assert visible(folder) == states["first"]


def remove(target):
    """Remove a file, or a folder of files."""
    if target.is_dir():
        for path in target.iterdir():
            remove(path)
        target.rmdir()
    else:
        target.unlink(missing_ok=True)


@pytest.mark.parametrize("name", EXPORTS)
def test_meeting(name, tmp_path, count):
    """Of several processes that export to one path at once, one wins, whole."""
    export = EXPORTS[name]
    states = []
    for i, sd in enumerate(recordings()):
        export(sd, tmp_path / str(i) / export.target)
        states.append(visible(tmp_path / str(i)))
    folder = tmp_path / "work"
    folder.mkdir()
    for round_ in range(3 * max(FACTOR // 10, 1)):
        if round_ % 2:
            remove(folder / export.target)

        def work(sd):
            for _ in range(3):
                try:
                    export(sd, folder / export.target)
                except OSError as error:
                    # Of two exports into one folder the second is refused.
                    if not export.is_folder or error.errno not in REFUSED:
                        raise

        children = [forked(lambda sd=sd: work(sd)) for sd in recordings() * 2]
        assert [ended(child) for child in children] == [0] * 4
        assert list(folder.iterdir()) == [folder / export.target]
        assert leftovers(folder) == []
        count[f"won by {'AB'[states.index(visible(folder))]}"] += 1


def export_pair(sd, folder):
    """Export spikes and their table of units."""
    sd.to_csv(folder / "s.csv", units_table=folder / "u.csv")


def load_pair(folder):
    """Load what :func:`export_pair` left."""
    return load(folder / "s.csv", units_table=folder / "u.csv")


def outcome_of_pair(folder, states):
    """Return in words what a reader finds where each file is the old or the new one."""
    found = visible(folder)
    if found in states:
        return ("old", "new")[states.index(found)]
    assert all(found[name] in [state[name] for state in states] for name in found)
    with pytest.raises(FormatError, match=r"s\.csv"):
        load_pair(folder)
    return "recognised as not belonging together"


def states_of_pairs(folder):
    """The bytes of the two files of each recording."""
    states = []
    for i, sd in enumerate(recordings()):
        (folder / str(i)).mkdir()
        export_pair(sd, folder / str(i))
        states.append(snapshot(folder / str(i)))
    (folder / "work").mkdir()
    return states


def test_kill_of_a_pair(tmp_path, count):
    """Each file is the old or the new one; a pair of both is seen not to be one."""
    states, folder = states_of_pairs(tmp_path), tmp_path / "work"
    first, second = recordings()
    work = lambda: export_pair(second, folder)  # noqa: E731
    longest = max(duration(work) for _ in range(3))
    for _, moment in zip(range(2 * KILLS), moments("pair", longest), strict=False):
        export_pair(first, folder)
        in_time = killed(work, moment)
        found = outcome_of_pair(folder, states)
        count[found if in_time else "finished before the kill"] += 1
    export_pair(first, folder)
    assert visible(folder) == states[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("renames", [0, 1])
def test_interrupt_of_a_pair(error, renames, tmp_path, monkeypatch, count):
    """Nothing is put back, nothing is deleted, and the next export does not wait."""
    states, folder = states_of_pairs(tmp_path), tmp_path / "work"
    first, second = recordings()
    export_pair(first, folder)
    replace, done = os.replace, []

    def interrupted(source, target):
        if len(done) == renames:
            raise error
        replace(source, target)
        done.append(target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(error):
            export_pair(second, folder)
    count[outcome_of_pair(folder, states)] += 1
    assert sorted(path.name for path in folder.iterdir()) == ["s.csv", "u.csv"]
    export_pair(second, folder)
    assert visible(folder) == states[1]

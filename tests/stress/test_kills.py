"""Exports that are killed at any moment, and exports that meet."""

import os
import signal

import pytest
from contract import snapshot
from recordings import simulated
from stress.exports import EXPORTS, FACTOR, leftovers, recordings, visible
from stress.processes import duration, ended, forked, killed, moments

from spikelab import SpikeData, load
from spikelab.errors import FormatError, IncompleteExportError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")

KILLS = 4 * FACTOR


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
                export(sd, folder / export.target)

        children = [forked(lambda sd=sd: work(sd)) for sd in recordings() * 2]
        assert [ended(child) for child in children] == [0] * 4
        assert list(folder.iterdir()) == [folder / export.target]
        assert leftovers(folder) == []
        count[f"won by {'AB'[states.index(visible(folder))]}"] += 1


def pairs():
    """Two recordings whose units have different numbers of spikes."""
    first = simulated(seed=1, n_units=40)
    return first, SpikeData([t[1:] / 2 for t in first.train], length=first.length)


def export_pair(sd, folder):
    """Export spikes and their table of units."""
    sd.to_csv(folder / "s.csv", units_table=folder / "u.csv")


def load_pair(folder):
    """Load what :func:`export_pair` left."""
    return load(folder / "s.csv", units_table=folder / "u.csv")


def test_kill_of_a_pair(tmp_path, count):
    """Spikes and their units are both old or both new, or seen not to belong together."""
    first, second = pairs()
    states = []
    for i, sd in enumerate(pairs()):
        (tmp_path / str(i)).mkdir()
        export_pair(sd, tmp_path / str(i))
        states.append(snapshot(tmp_path / str(i)))
    folder = tmp_path / "work"
    folder.mkdir()
    work = lambda: export_pair(second, folder)  # noqa: E731
    longest = max(duration(work) for _ in range(3))
    for _, moment in zip(range(2 * KILLS), moments("pair", longest), strict=False):
        export_pair(first, folder)
        in_time = killed(work, moment)
        found = outcome_of_pair(folder, states)
        count[found if in_time else "finished before the kill"] += 1
    export_pair(first, folder)
    assert ended(forked(lambda: export_half(second, folder))) == -signal.SIGKILL
    assert outcome_of_pair(folder, states) == "recognised as incomplete"
    export_pair(first, folder)
    assert visible(folder) == states[0]


def export_half(sd, folder):
    """Die after the first of the two files was renamed."""
    replace = os.replace

    def replace_and_die(source, target):
        replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace_and_die
    export_pair(sd, folder)


def outcome_of_pair(folder, states):
    """Return in words what a reader finds."""
    if (found := visible(folder)) in states:
        return ("old", "new")[states.index(found)]
    with pytest.raises(FormatError, match="do not belong together"):
        load_pair(folder)
    return "recognised as incomplete"


def test_meeting_of_pairs(tmp_path, count):
    """Of several processes that export one pair of files at once, each file is whole.

    The two may be of different exports, which the reader refuses.
    """

    def work(sd):
        for _ in range(3):
            export_pair(sd, tmp_path)

    for _ in range(3 * max(FACTOR // 10, 1)):
        children = [forked(lambda sd=sd: work(sd)) for sd in pairs() * 2]
        assert [ended(child) for child in children] == [0] * 4
        assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "u.csv"]
        trains = [sd.train[0].tolist() for sd in pairs()]
        try:
            winner = trains.index(load_pair(tmp_path).train[0].tolist())
            count[f"won by {'AB'[winner]}"] += 1
        except FormatError:
            count["recognised as mixed"] += 1

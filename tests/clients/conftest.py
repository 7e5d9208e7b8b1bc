"""The recordings that other programs must open."""

import warnings

import pytest
from recordings import EDGE_CASES, linear_track, simulated

from spikelab.formats import NWBSession, NWBSubject

RECORDINGS = {
    **EDGE_CASES,
    "simulated late": lambda: simulated(seed=3, start_time=4_000.0),
    "linear track": linear_track,
}


@pytest.fixture(params=RECORDINGS)
def recording(request):
    """The real recording, simulated ones with attributes, and the edge cases."""
    return RECORDINGS[request.param]()


@pytest.fixture(params=["simulated", "linear track"])
def full_recording(request):
    """The two recordings that a scientist could publish."""
    return RECORDINGS[request.param]()


@pytest.fixture
def quietly():
    """A call without the warnings by which an export tells of edge cases."""

    def call(function, *args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return function(*args, **kwargs)

    return call


@pytest.fixture
def session():
    """All that an archive asks about a session."""
    return NWBSession(
        session_start_time="2024-05-17T14:03:00+02:00",
        session_description="A rat runs on a linear track and rests.",
        session_id="track-1",
        experimenter=["Berger, Hans"],
        lab="Memory",
        institution="University of Jena",
        experiment_description="Place cells on a linear track.",
        keywords=["hippocampus", "place cells"],
        related_publications=["doi:10.1000/182"],
    )


@pytest.fixture
def subject():
    """All that an archive asks about a subject."""
    return NWBSubject(
        subject_id="m1",
        species="Rattus norvegicus",
        sex="M",
        age="P90D",
        strain="Long-Evans",
        weight="0.25 kg",
        description="Raised in the house.",
    )

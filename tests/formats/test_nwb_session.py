"""What is known about session and subject is checked as DANDI checks it."""

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from spikelab.formats import NWBSession, NWBSubject

SESSION = {
    "session_start_time": "2024-05-17T14:03:00+02:00",
    "session_description": "d",
}
SUBJECT = {"subject_id": "r7", "species": "Rattus norvegicus", "sex": "F", "age": "P9D"}


@pytest.mark.parametrize(
    "time",
    [
        "2024-05-17T14:03:00+02:00",
        "2024-05-17T12:03:00Z",
        datetime(2024, 5, 17, 14, 3, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 5, 17, 12, 3, tzinfo=UTC),
    ],
)
def test_a_start_is_a_time_with_a_zone(time):
    """As a datetime or as a text."""
    session = NWBSession(**{**SESSION, "session_start_time": time})
    assert session.session_start_time == datetime(2024, 5, 17, 12, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("session_start_time", "2024-05-17T14:03:00", "with a time zone"),
        ("session_start_time", datetime(2024, 5, 17), "with a time zone"),
        ("session_start_time", "yesterday", "with a time zone"),
        ("session_start_time", 3, "with a time zone"),
        ("session_start_time", None, "with a time zone"),
        ("session_start_time", "3024-05-17T14:03:00Z", "not lie in the future"),
        ("session_description", "", "must not be empty"),
        ("session_description", None, "must be a text"),
        ("session_description", "a\0b", "NUL"),
        ("identifier", " ", "must not be empty"),
        ("session_id", "a/b", "must not hold a slash"),
        ("experimenter", "Hans Berger", "'Last, First'"),
        ("experimenter", ["Berger, Hans", "Adrian"], "'Last, First'"),
        ("experimenter", [3], "must be a text"),
        ("experimenter", 3, "must be a list"),
        ("experimenter", [], "must not be empty"),
        ("keywords", "a, b", "must be a list"),
        ("keywords", [""], "must not be empty"),
        ("related_publications", "10.1000/1", "must begin with 'doi:'"),
        ("lab", 3, "must be a text"),
    ],
)
def test_a_wrong_session_is_told_in_one_line(field, value, rule):
    """Field, rule, and what was given."""
    with pytest.raises((ValueError, TypeError), match=rule) as error:
        NWBSession(**{**SESSION, field: value})
    assert str(error.value).startswith(field)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("subject_id", "a/b", "must not hold a slash"),
        ("subject_id", "", "must not be empty"),
        ("species", "rat", "must be a Latin name"),
        ("species", "Rattus norvegicus Wistar", "must be a Latin name"),
        ("species", "http://example.org/10116", "must be a Latin name"),
        ("sex", "female", "must be one of"),
        ("sex", None, "must be one of"),
        ("sex", "XX", "must be one of"),
        ("age", "90", "ISO 8601"),
        ("age", "P", "ISO 8601"),
        ("age", "P1DT", "ISO 8601"),
        ("age", "/", "ISO 8601"),
        ("age", "P1D/P2D/P3D", "ISO 8601"),
        ("age", 90, "must be a text"),
        ("date_of_birth", "2024-05-17", "with a time zone"),
        ("weight", "250", "a number, a space and a unit"),
        ("weight", 0.25, "must be a text"),
        ("strain", "", "must not be empty"),
    ],
)
def test_a_wrong_subject_is_told_in_one_line(field, value, rule):
    """Field, rule, and what was given."""
    with pytest.raises((ValueError, TypeError), match=rule) as error:
        NWBSubject(**{**SUBJECT, field: value})
    assert str(error.value).startswith(field)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"age": "P1Y2M3W4DT5H6M7.5S"},
        {"age": "P90Y/"},
        {"age": "P1D/P1W"},
        {"age": None, "date_of_birth": "2024-01-01T00:00:00Z"},
        {"species": "http://purl.obolibrary.org/obo/NCBITaxon_10116"},
        {"species": "Caenorhabditis elegans", "sex": "XX"},
        {
            "weight": "250 g",
            "strain": "Long-Evans",
            "genotype": "wt",
            "description": "d",
        },
    ],
)
def test_what_dandi_takes_is_taken(changes):
    """Ranges of ages, addresses of species, worms."""
    subject = NWBSubject(**{**SUBJECT, **changes})
    assert all(
        getattr(subject, name) == value
        for name, value in changes.items()
        if name != "date_of_birth"
    )


def test_age_or_birth_must_be_known():
    """DANDI wants one of the two."""
    with pytest.raises(ValueError, match="age or date_of_birth must be given"):
        NWBSubject(**{**SUBJECT, "age": None})


def test_both_are_frozen():
    """They cannot exist in a wrong state."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        NWBSession(**SESSION).lab = 3
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        NWBSubject(**SUBJECT).sex = "male"

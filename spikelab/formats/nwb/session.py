"""What only the user knows about a recording: the session and the subject."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import attrs

from spikelab import validate
from spikelab.formats import h5

_WORMS = ("Caenorhabditis elegans", "C. elegans")

_DURATION = (
    r"P(?!$|/)(\d+(\.\d+)?Y)?(\d+(\.\d+)?M)?(\d+(\.\d+)?W)?(\d+(\.\d+)?D)?"
    r"(T(?=\d)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?"
)

Check = Callable[[str, Any], None]


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {value!r}")
    if not value.strip() or not h5.is_text(value):
        raise ValueError(
            f"{name} must not be empty nor hold NUL or half a surrogate pair, "
            f"got {value!r}"
        )


def _written(pattern: str, rule: str) -> Check:
    """Return a check of texts that a regular expression describes, and `rule`."""

    def check(name: str, value: Any) -> None:
        _text(name, value)
        if not re.fullmatch(pattern, value, re.DOTALL):
            raise ValueError(f"{name} must {rule}, got {value!r}")

    return check


def _each(check: Check) -> Check:
    """Return a check of tuples of which every item passes another one."""

    def check_all(name: str, value: Any) -> None:
        if not isinstance(value, tuple):
            raise TypeError(f"{name} must be a list of texts, got {value!r}")
        for item in value:
            check(name, item)
        if not value:
            raise ValueError(f"{name} must not be empty, leave it out instead")

    return check_all


def _moment(name: str, value: Any) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(
            f"{name} must be a date and time with a time zone, such as "
            f"'2024-05-17T14:03:00+02:00', got {str(value)!r}"
        )
    if value > datetime.now(UTC):
        raise ValueError(f"{name} must not lie in the future, got {value}")


_path_part = _written("[^/]*", "not hold a slash, DANDI makes paths of it")
_person = _written(r"([\w\s\-.']+),\s+([\w\s\-.']+)", "be written 'Last, First'")
_publication = _written(
    r"(doi:|http://dx\.doi\.org/|https://doi\.org/).*",
    "begin with 'doi:' or 'https://doi.org/'",
)
_species = _written(
    r"([A-Z][a-z]* [a-z]+)|(http://purl\.obolibrary\.org/obo/NCBITaxon_\d+)",
    "be a Latin name such as 'Rattus norvegicus' or "
    "'http://purl.obolibrary.org/obo/NCBITaxon_' and a number",
)
_age = _written(
    f"{_DURATION}(/({_DURATION})?)?|/{_DURATION}",
    "be an ISO 8601 duration ('P90D', 'P23W', 'P2Y') or a range of two ('P1D/P3D')",
)
_weight = _written(
    r"\d+(\.\d+)? (kg|g|mg|ug|μg|ng|pg)",
    "be a number, a space and a unit, such as '0.25 kg'",
)


def _as_time(value: Any) -> Any:
    """Return an ISO 8601 text as a datetime; leave to the check what is none."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _as_tuple(value: Any) -> Any:
    is_list = isinstance(value, Iterable) and not isinstance(value, str)
    return tuple(value) if is_list else value


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _as_tuple(value)


def _optional(check: Check, converter: Any = None) -> Any:
    return attrs.field(
        default=None,
        converter=attrs.converters.optional(converter) if converter else None,
        validator=attrs.validators.optional(validate.validator(check)),
    )


def iso_time(time: datetime) -> str:
    """Return a time as NWB takes it: ISO 8601, in UTC if its offset has seconds."""
    offset = time.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        time = time.astimezone(UTC)
    return time.isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_time(value)
    return list(value) if isinstance(value, tuple) else value


class NWBFacts:
    """Base of what only the user knows: its fields, and how metadata hold them."""

    KEY: ClassVar[str]
    """The key of ``metadata`` under which a recording keeps the fields."""

    __slots__ = ()

    @classmethod
    def of(cls, obj: object) -> Self | None:
        """Return what is known about a recording, None if nothing valid is.

        Parameters
        ----------
        obj : data object
            A recording whose ``metadata`` hold the fields, as readers of NWB files
            leave them there.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> from spikelab.formats import NWBSubject
        >>> NWBSubject.of(SpikeData([[1.0]])) is None
        True
        """
        found: Any = (getattr(obj, "metadata", None) or {}).get(cls.KEY)
        try:
            return cls(**found)
        except (TypeError, ValueError):
            return None

    def fields(self) -> dict[str, Any]:
        """Return the fields that are given, as metadata and files hold them.

        Examples
        --------
        >>> from spikelab.formats import NWBSubject
        >>> rat = NWBSubject(subject_id="r7", species="Rattus norvegicus", sex="F", age="P90D")
        >>> rat.fields()
        {'subject_id': 'r7', 'species': 'Rattus norvegicus', 'sex': 'F', 'age': 'P90D'}
        """
        names = [field.name for field in attrs.fields(type(self))]  # type: ignore[arg-type] # a frozen class
        known = {name: getattr(self, name) for name in names}
        return {n: _plain(value) for n, value in known.items() if value is not None}

    @classmethod
    def valid_fields(cls, found: Any) -> tuple[dict[str, Any], list[str]]:
        """Return those of the fields that the class takes, and why it refuses others.

        Parameters
        ----------
        found : mapping
            Values by name of the field; times as datetime or ISO 8601 text.

        Examples
        --------
        >>> from spikelab.formats import NWBSubject
        >>> NWBSubject.valid_fields({"subject_id": "r7", "sex": "rat"})[0]
        {'subject_id': 'r7'}
        """
        if not isinstance(found, Mapping):
            return {}, [f"{cls.KEY} must be a mapping, got {type(found).__name__}"]
        fields = {f.name: f for f in attrs.fields(cls)}  # type: ignore[arg-type] # a frozen class
        others = SimpleNamespace(**{name: found.get(name) for name in fields})
        valid: dict[str, Any] = {}
        refused = [f"there is no field {n!r}" for n in found if n not in fields]
        for name, field in fields.items():
            if found.get(name) is None:
                continue
            try:
                value = field.converter(found[name]) if field.converter else found[name]
                field.validator(others, field, value)
                valid[name] = _plain(value)
            except (TypeError, ValueError) as error:
                refused.append(str(error))
        return valid, refused


@attrs.frozen(kw_only=True)
class NWBSession(NWBFacts):
    """When, where, why and by whom a recording was made.

    Everything is checked as DANDI and its inspector check it, and a value
    that they would reject raises an error of one line.

    Parameters
    ----------
    session_start_time : datetime or str
        When the session began, with a time zone; a text is ISO 8601. Spike
        times count from here.
    session_description : str
        What happened in the session.
    identifier : str, optional
        A text that no other file has; by default made from the data, the session
        and the subject, so that the same of all have the same identifier.
    session_id : str, optional
        The lab's name for the session, without slashes.
    experimenter : str or list of str, optional
        Who recorded, each written ``"Last, First"``.
    lab, institution : str, optional
        Where.
    experiment_description : str, optional
        What the experiment is about.
    keywords : list of str, optional
        Terms to find the file by. neo cannot open files that have keywords.
    related_publications : list of str, optional
        Each beginning with ``doi:`` or ``https://doi.org/``.
    notes, pharmacology, protocol, surgery, virus, data_collection : str, optional
        Further texts that NWB has a place for.
    stimulus : str, optional
        Notes about the stimuli.
    electrode_location : str, optional
        The part of the brain of those electrodes whose units do not say it. DANDI
        wants a term of the Allen Mouse Brain Atlas if the subject is a mouse.

    Raises
    ------
    TypeError, ValueError
        If a value is not of the form that is asked for.

    Examples
    --------
    >>> from spikelab.formats import NWBSession
    >>> session = NWBSession(
    ...     session_start_time="2024-05-17T14:03:00+02:00",
    ...     session_description="open field",
    ...     experimenter="Ramón y Cajal, Santiago",
    ... )
    >>> session.experimenter
    ('Ramón y Cajal, Santiago',)
    """

    KEY: ClassVar[str] = "nwb_session"

    session_start_time: datetime = attrs.field(
        converter=_as_time, validator=validate.validator(_moment)
    )
    session_description: str = attrs.field(validator=validate.validator(_text))
    identifier: str | None = _optional(_text)
    session_id: str | None = _optional(_path_part)
    experimenter: tuple[str, ...] | None = _optional(_each(_person), _as_names)
    lab: str | None = _optional(_text)
    institution: str | None = _optional(_text)
    experiment_description: str | None = _optional(_text)
    keywords: tuple[str, ...] | None = _optional(_each(_text), _as_tuple)
    related_publications: tuple[str, ...] | None = _optional(
        _each(_publication), _as_names
    )
    notes: str | None = _optional(_text)
    pharmacology: str | None = _optional(_text)
    protocol: str | None = _optional(_text)
    surgery: str | None = _optional(_text)
    virus: str | None = _optional(_text)
    data_collection: str | None = _optional(_text)
    stimulus: str | None = _optional(_text)
    electrode_location: str | None = _optional(_text)


@attrs.frozen(kw_only=True)
class NWBSubject(NWBFacts):
    """The animal or person that was recorded from.

    What DANDI requires is required here: an id, the species, the sex, and
    either the age or the date of birth.

    Parameters
    ----------
    subject_id : str
        The lab's name for the subject, without slashes.
    species : str
        Latin name (``"Rattus norvegicus"``) or the address of the species in the
        NCBI taxonomy (``"http://purl.obolibrary.org/obo/NCBITaxon_10116"``).
    sex : {"M", "F", "O", "U"}
        Male, female, other or unknown; for C. elegans ``"XO"`` or ``"XX"``.
    age : str, optional
        ISO 8601 duration at the time of the session (``"P90D"``), or a range of
        two (``"P90D/P120D"``).
    date_of_birth : datetime or str, optional
        With a time zone; a text is ISO 8601.
    strain, genotype, description : str, optional
        Further texts.
    weight : str, optional
        Number and unit, such as ``"0.25 kg"``.

    Raises
    ------
    TypeError, ValueError
        If a value is not of the form that is asked for.

    Examples
    --------
    >>> from spikelab.formats import NWBSubject
    >>> rat = NWBSubject(subject_id="r7", species="Rattus norvegicus", sex="F", age="P90D")
    >>> rat.sex
    'F'
    """

    KEY: ClassVar[str] = "nwb_subject"

    subject_id: str = attrs.field(validator=validate.validator(_path_part))
    species: str = attrs.field(validator=validate.validator(_species))
    sex: str = attrs.field()
    age: str | None = _optional(_age)
    date_of_birth: datetime | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(_as_time),
        validator=attrs.validators.optional(validate.validator(_moment)),
    )
    strain: str | None = _optional(_text)
    genotype: str | None = _optional(_text)
    weight: str | None = _optional(_weight)
    description: str | None = _optional(_text)

    @sex.validator
    def _is_sex(self, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        allowed = ("XO", "XX") if self.species in _WORMS else ("M", "F", "O", "U")
        if value not in allowed:
            raise ValueError(f"sex must be one of {allowed}, got {value!r}")

    def __attrs_post_init__(self) -> None:
        """Check what concerns several fields together."""
        if self.age is None and self.date_of_birth is None:
            raise ValueError("age or date_of_birth must be given, got neither")

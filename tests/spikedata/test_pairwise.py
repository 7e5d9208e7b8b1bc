"""Comparisons of units, and stacks of them."""

import pickle

import numpy as np
import pytest

from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack

TIMES = [(0, 1), (1, 2), (2, 3)]


def matrix(**changes):
    """Return a comparison of two units, one of whose values is unknown."""
    arguments = {
        "matrix": np.array([[1.0, np.nan], [0.5, 1.0]]),
        "labels": ["a", "b"],
        "metadata": {"delt": 20.0},
    }
    return PairwiseCompMatrix(**{**arguments, **changes})


def stack(**changes):
    """Return comparisons of two units in three windows."""
    values = np.arange(12.0).reshape(2, 2, 3)
    values[0, 1, 2] = np.nan
    arguments = {
        "stack": values,
        "labels": ["a", "b"],
        "times": list(TIMES),
        "metadata": {"q": 1},
    }
    return PairwiseCompMatrixStack(**{**arguments, **changes})


def test_attributes_are_those_of_the_published_classes():
    """Pickles hold the attributes by name, and must load in either package."""
    assert list(vars(matrix())) == ["matrix", "labels", "metadata"]
    assert list(vars(stack())) == ["stack", "labels", "times", "metadata"]


def test_defaults():
    """Labels and times are unknown, and each object has metadata of its own."""
    first, second = (PairwiseCompMatrix(np.eye(2)) for _ in range(2))
    assert (first.labels, first.metadata) == (None, {})
    assert first.metadata is not second.metadata
    made = PairwiseCompMatrixStack(np.zeros((2, 2, 1)))
    assert (made.labels, made.times, made.metadata) == (None, None, {})


def test_values_are_not_copied():
    """Neither copied nor converted."""
    values = np.eye(2, dtype=int)
    assert PairwiseCompMatrix(values).matrix is values


@pytest.mark.parametrize("make", [matrix, stack])
def test_equality(make):
    """Objects are equal as a whole; NaN equals NaN."""
    assert make() == make()
    assert make() == pickle.loads(pickle.dumps(make()))
    assert make() != make(labels=["a", "c"])
    assert make() != make(metadata={})
    assert make() != "something else"
    with pytest.raises(TypeError, match="unhashable"):
        hash(make())


def test_inequality_of_values():
    """Values, dtype, shape and times count."""
    assert matrix() != matrix(matrix=np.eye(2))
    assert matrix(matrix=np.eye(2)) != matrix(matrix=np.eye(2, dtype=int))
    assert stack() != stack(times=None)
    assert stack() != matrix()


@pytest.mark.parametrize(
    ("make", "changes", "error", "message"),
    [
        (
            matrix,
            {"matrix": [[1.0]]},
            TypeError,
            "matrix must be a numpy array, got list",
        ),
        (matrix, {"matrix": np.ones((2, 3))}, ValueError, r"\(n, n\), got \(2, 3\)"),
        (matrix, {"matrix": np.ones(4)}, ValueError, r"\(n, n\), got \(4,\)"),
        (matrix, {"labels": ["a"]}, ValueError, r"labels must .* row \(2\), got 1"),
        (
            stack,
            {"stack": np.ones((2, 3, 3))},
            ValueError,
            r"slices\), got \(2, 3, 3\)",
        ),
        (stack, {"stack": np.eye(2)}, ValueError, r"slices\), got \(2, 2\)"),
        (stack, {"labels": list("abc")}, ValueError, "labels must .* got 3"),
        (stack, {"times": TIMES[:2]}, ValueError, r"times must .* slice \(3\), got 2"),
    ],
)
def test_what_is_refused(make, changes, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        make(**changes)


def test_no_units_and_no_slices():
    """Empty comparisons are allowed."""
    assert PairwiseCompMatrix(np.zeros((0, 0))).matrix.size == 0
    assert len(PairwiseCompMatrixStack(np.zeros((2, 2, 0)))) == 0


def test_one_matrix_of_a_stack():
    """It shares its values, and tells its position and window."""
    made = stack()
    found = made[1]
    assert np.shares_memory(found.matrix, made.stack)
    assert found.matrix.tolist() == [[1, 4], [7, 10]]
    assert found.labels == ["a", "b"]
    assert found.metadata == {"q": 1, "stack_index": 1, "time": (1, 2)}
    assert made.metadata == {"q": 1}
    assert made[-1].metadata == {"q": 1, "stack_index": -1, "time": (2, 3)}
    assert stack(times=None)[np.int64(0)].metadata == {"q": 1, "stack_index": 0}


def test_iteration():
    """A stack is iterated matrix by matrix."""
    found = list(stack())
    assert len(found) == len(stack()) == 3
    assert found == [stack()[i] for i in range(3)]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(0, 2), [0, 1]),
        (slice(None, None, -1), [2, 1, 0]),
        ([2, 0], [2, 0]),
        ((-1,), [2]),
        (np.array([1, 1]), [1, 1]),
        ([True, False, True], [0, 2]),
        (np.array([False, True, False]), [1]),
        ([], []),
    ],
)
def test_several_matrices_of_a_stack(index, expected):
    """They come in the order asked for, with windows that stay tuples."""
    found = stack()[index]
    np.testing.assert_array_equal(found.stack, stack().stack[..., expected])
    assert found.times == [TIMES[i] for i in expected]
    assert (found.labels, found.metadata) == (["a", "b"], {"q": 1})
    if not isinstance(index, slice):
        assert stack().subslice(index) == found


def test_subslice_of_one():
    """A single index still gives a stack."""
    assert stack().subslice(1).times == [(1, 2)]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, IndexError, r"index must lie in -3\.\.2, got 3"),
        ([0, -4], IndexError, r"indices must lie in -3\.\.2, got -4"),
        (True, TypeError, "index must be integers or a mask, got True"),
        ("a", TypeError, "integers or a mask, got 'a'"),
        ([True], ValueError, "indices must have 3 entries as a mask, got 1"),
    ],
)
def test_indices_that_are_refused(index, error, message):
    """The error names the rule and the value."""
    with pytest.raises(error, match=message):
        stack()[index]


def test_repr():
    """The summary shows shapes and keys, not values."""
    assert repr(matrix()) == "PairwiseCompMatrix(n=2, metadata=['delt'])"
    assert repr(stack()) == (
        "PairwiseCompMatrixStack(n=2, S=3, times=0.0 to 3.0 ms, metadata=['q'])"
    )


def test_times_with_a_unit_become_ms():
    """As in the other stacks."""
    pq = pytest.importorskip("quantities")
    times = [(i * pq.s, (i + 1) * pq.s) for i in range(3)]
    assert stack(times=times).times == [(0, 1000), (1000, 2000), (2000, 3000)]


@pytest.mark.parametrize(
    "given", [[[0, 1], [1, 2], [2, 3]], np.arange(6.0).reshape(3, 2)]
)
def test_times_without_a_unit_are_stored_as_they_are(given):
    """Lists of lists and arrays too."""
    assert stack(times=given).times is given

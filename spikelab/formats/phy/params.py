"""``params.py``: what Phy is given. It is written and parsed here, and never run."""

import ast
import operator
import warnings
from pathlib import Path
from typing import Any

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.spikedata.time_units import rate_Hz

PARAMS_FILE = "params.py"

_LARGEST = 2**16  # a file of more bytes is not read

# Python's and NumPy's functions that make a number of another.
_FUNCTIONS: dict[str, Any] = {
    **dict.fromkeys(("float", "float32", "float64"), float),
    **dict.fromkeys(("int", "int32", "int64", "uint32", "uint64"), int),
    "round": round,
}

_OPERATORS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


def write_params(
    folder: Path,
    fs_Hz: float | None,
    n_channels: int,
    dat_path: str | None = None,
    dtype: str = "int16",
) -> None:
    """Write ``params.py``.

    neo finds ``name = value`` by a pattern: no comments, no spaces in values.
    """
    text = (
        f"dat_path = {dat_path or []!r}\nn_channels_dat = {n_channels}\n"
        f"dtype = {dtype!r}\noffset = 0\nsample_rate = {fs_Hz!r}\nhp_filtered = False\n"
    )
    (folder / PARAMS_FILE).write_text(text, encoding="utf-8")


def read_params(folder: Path) -> dict[str, Any]:
    """Return the values that ``params.py`` assigns.

    Values may be constants, tuples or lists of them, arithmetic, or a number that
    ``float``, ``int``, ``round`` or a dtype of NumPy makes. Other lines need not be
    Python. Nothing is assigned if there is no such file, or a large one.
    """
    path = folder / PARAMS_FILE
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return {}
    source = path.read_bytes()
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = source.decode("latin-1")
    values: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes in Windows paths
        statements = _parsed(text)
        if statements is None:
            lines = [_parsed(line.strip()) for line in text.splitlines()]
            statements = [statement for line in lines for statement in line or ()]
    for statement in statements:
        match statement:
            case ast.Assign(targets=targets, value=ast.expr() as expression):
                for target in targets:
                    _assign(target, expression, values)
            case ast.AnnAssign(target=target, value=ast.expr() as expression):
                _assign(target, expression, values)
    return values


def read_sample_rate(folder: Path) -> float | None:
    """Return the ``sample_rate`` in ``params.py`` in Hz, None if none is found.

    Warn if it may be in kHz: a rate of 1, as of spikes in seconds, is none. Raises
    FormatError for one that is not a positive number.
    """
    rate = read_params(folder).get("sample_rate", [])
    if isinstance(rate, list):
        return None
    try:
        is_fast = validate.positive("sample_rate", rate) <= 1.0
        return float(rate) if is_fast else rate_Hz("sample_rate", rate)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{folder / PARAMS_FILE}: {error}") from error


def _parsed(text: str) -> list[ast.stmt] | None:
    """Return the statements of a text, None if it is no Python."""
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _assign(target: ast.expr, expression: ast.expr, values: dict[str, Any]) -> None:
    """Add to the values what an assignment makes of a name or a tuple of names."""
    match target, expression:
        case ast.Name(id=name), _:
            try:
                values[name] = _value(expression, values)
            except (
                ArithmeticError,
                LookupError,
                RecursionError,
                TypeError,
                ValueError,
            ):
                values.pop(name, None)
        case (ast.Tuple(elts=targets), ast.Tuple(elts=parts)):
            for each, part in zip(targets, parts, strict=False):
                _assign(each, part, values)


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    """Return a constant, a list of values, or the result of arithmetic with floats."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [_value(part, values) for part in parts]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = float(_value(operand, values))
            return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp(left=left, op=sign, right=right):
            a, b = (float(_value(side, values)) for side in (left, right))
            return float(_OPERATORS[type(sign)](a, b))
        case ast.Call(
            func=ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name),
            args=[argument],
        ):
            return float(_FUNCTIONS[name](float(_value(argument, values))))
        case _:
            raise ValueError(f"not arithmetic: {ast.dump(node):.80}")

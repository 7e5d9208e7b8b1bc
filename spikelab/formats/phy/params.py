"""``params.py``: what Phy is given. It is written and parsed here, and never run."""

import ast
import contextlib
import operator
import re
import warnings
from pathlib import Path
from typing import Any

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.spikedata.time_units import rate_Hz

PARAMS_FILE = "params.py"

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
    """Return the values that lines of ``params.py`` assign.

    Values may be constants, names of earlier ones, arithmetic, or a number that
    ``float``, ``int`` or a dtype of NumPy makes. Other lines need not be Python.
    """
    path = folder / PARAMS_FILE
    if not path.is_file():
        return {}
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    values: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes in Windows paths
        for line in text.splitlines():
            with contextlib.suppress(
                *(ArithmeticError, LookupError, MemoryError, RecursionError),
                *(SyntaxError, TypeError, ValueError),
            ):
                for statement in ast.parse(line.strip()).body:
                    match statement:
                        case ast.Assign(targets=targets, value=expression):
                            pass
                        case ast.AnnAssign(
                            target=target, value=ast.expr() as expression
                        ):
                            targets = [target]
                        case _:
                            continue
                    value = _value(expression, values)
                    names = [t.id for t in targets if isinstance(t, ast.Name)]
                    values |= dict.fromkeys(names, value)
    return values


def read_sample_rate(folder: Path) -> float | None:
    """Return the ``sample_rate`` in ``params.py`` in Hz, None if none is found.

    Warn if it may be in kHz: a rate of 1, as of spikes in seconds, is none. Raises
    FormatError for one that is not a positive number.
    """
    rate = read_params(folder).get("sample_rate")
    if rate is None:
        return None
    try:
        is_fast = validate.positive("sample_rate", rate) <= 1.0
        return float(rate) if is_fast else rate_Hz("sample_rate", rate)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{folder / PARAMS_FILE}: {error}") from error


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = float(_value(operand, values))
            return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp(left=left, op=sign, right=right):
            a, b = (float(_value(side, values)) for side in (left, right))
            return float(_OPERATORS[type(sign)](a, b))
        case ast.Call(
            func=ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name),
            args=[argument],
        ) if re.fullmatch(r"(float|u?int)\d*", name):
            number = float(_value(argument, values))
            return number if name.startswith("float") else float(int(number))
    raise ValueError(f"not arithmetic: {ast.dump(node):.80}")

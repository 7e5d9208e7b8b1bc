"""The command line: python -m bench."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench import report
from bench.cases import PUBLISHED, Bench, Row, Shape

SPIKES = (100_000, 1_000_000, 10_000_000, 100_000_000)
"""Of 1,000 units together."""

UNITS = (10, 100, 1_000, 10_000, 100_000)
"""With a million spikes together."""


def main() -> int:
    """Measure, print two tables, write them as JSON."""
    options = _options()
    if not PUBLISHED:
        print("no SPIKELAB_PUBLISHED_PYTHON: nothing is compared", file=sys.stderr)
    shapes = [Shape(1_000, spikes // 1_000) for spikes in SPIKES]
    shapes += [Shape(units, 1_000_000 // units) for units in UNITS if units != 1_000]
    if options.quick:
        shapes = [shape for shape in shapes if shape.units * shape.spikes <= 10_000_000]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder), options.rounds)
        names = set(options.only)
        print(f"{report.machine()}; median of up to {options.rounds} runs\n")
        rows = _shown(bench.exports_and_loaders(names))
        _tell("exports", report.first_table(rows), options.tables)
        report.write_json(options.json, exports_and_loaders=rows)
        growth = [] if options.no_growth else _shown(bench.growth(shapes, names))
    if growth:
        _tell("growth", report.growth_table(growth), options.tables)
        report.write_json(options.json, exports_and_loaders=rows, growth=growth)
    return 0


def _tell(name: str, table: report.Table, folder: Path | None) -> None:
    """Print a table, and keep it for the documentation if a folder is given."""
    print(report.markdown(table) + "\n", flush=True)
    if folder is not None:
        report.write_csv(folder / f"{name}.csv", table)


def _shown(rows: Iterable[Row]) -> list[Row]:
    """Return the rows; tell on stderr how far it went."""
    found = []
    for row in rows:
        seconds = {name: round(m.seconds, 3) for name, m in row.measured.items()}
        print(row.job, row.name, row.shape, seconds, file=sys.stderr, flush=True)
        found.append(row)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--only", nargs="+", default=[], help="names of exports")
    parser.add_argument("--quick", action="store_true", help="no 100 million spikes")
    parser.add_argument("--no-growth", action="store_true", help="the first table only")
    parser.add_argument("--folder", help="where to write; tells which disk is measured")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    parser.add_argument("--tables", type=Path, help="where the docs keep the tables")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

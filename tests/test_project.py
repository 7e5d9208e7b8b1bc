"""The project as a whole: what it promises to those who install and read it."""

import ast
import importlib
import importlib.metadata
import importlib.resources
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import lowest_versions
import pytest

import spikelab

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "spikelab"

LINES = (
    ("errors",),
    ("validate", "registry"),
    ("spikedata",),
    ("storage",),
    ("formats",),
    ("bridges", "look", "workspace"),
    ("data_loaders",),
    ("batch",),
    ("cli", "demo", "__init__", "__main__"),
)
"""The package from the bottom up: a module imports from its own line or one below."""

LINE = {part: number for number, line in enumerate(LINES) for part in line}

SURFACE = {
    "spikelab": (
        "SpikeData RateData PairwiseCompMatrix PairwiseCompMatrixStack RateSliceStack "
        "SpikeSliceStack ExportMixin load load_spikedata_from_hdf5 load_spikedata_from_nwb "
        "load_spikedata_from_kilosort load_spikedata_from_pickle load_from_pickle"
    ),
    "spikelab.spikedata": "SpikeData",
    "spikelab.spikedata.spikedata": "SpikeData",
    "spikelab.spikedata.ratedata": "RateData",
    "spikelab.spikedata.pairwise": "PairwiseCompMatrix PairwiseCompMatrixStack",
    "spikelab.spikedata.rateslicestack": "RateSliceStack",
    "spikelab.spikedata.spikeslicestack": "SpikeSliceStack",
    "spikelab.data_loaders.data_exporters": (
        "export_spikedata_to_hdf5 export_spikedata_to_nwb export_spikedata_to_kilosort "
        "export_to_pickle"
    ),
    "spikelab.data_loaders.data_loaders": (
        "load_spikedata_from_hdf5 load_spikedata_from_nwb load_spikedata_from_kilosort "
        "load_spikedata_from_pickle load_from_pickle load_spikedata_from_spikeinterface"
    ),
    "spikelab.data_loaders.s3_utils": (
        "is_s3_url parse_s3_url upload_to_s3 download_from_s3"
    ),
    "spikelab.formats": (
        "RaggedWriter RasterWriter GroupWriter PairedWriter NWBWriter NWBSession "
        "NWBSubject KiloSortWriter PhyWriter CSVWriter PickleWriter"
    ),
    "spikelab.workspace": "AnalysisWorkspace",
}

NOT_SHOWN = (
    *("arguments", "named", "options", "prepare", "read_group"),
    "time_unit",
)
"""Methods that the package itself uses, and the reference leaves out."""


def module_name(path):
    """The dotted name of a source file."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def at_import(node):
    """The statements that run when a module is imported: not those in functions."""
    for child in ast.iter_child_nodes(node):
        is_later = isinstance(child, ast.FunctionDef | ast.Lambda) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        if not is_later:
            yield child
            yield from at_import(child)


def imported(tree):
    """The modules of spikelab that a source file imports when it is imported."""
    for node in at_import(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in FILES else node.module


def line_of(module):
    """The number of the line on which a module stands."""
    _, _, rest = module.partition(".")
    return LINE[rest.split(".")[0] or "__init__"]


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module):
    """No module imports from a line above its own when it is imported."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    used = {name for name in imported(tree) if name.split(".")[0] == "spikelab"}
    upwards = {name for name in used if line_of(name) > line_of(module)}
    assert not upwards


def test_every_module_imports_without_a_warning():
    """In a fresh interpreter, in which nothing has been imported before."""
    modules = [module for module in FILES if not module.endswith("__main__")]
    command = [sys.executable, "-W", "error", "-c", f"import {', '.join(modules)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_loads_no_optional_package():
    """Importing the package loads neither an extra nor the S3 client."""
    check = (
        "import spikelab, sys; print(*{'boto3', 'tqdm', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_a_format_takes_five_lines_outside_of_its_module():
    """As the page on the architecture says: three, and two if it needs a package."""
    found = set()
    for module in FILES.keys() - {"spikelab.formats.parquet", "spikelab.formats.arrow"}:
        for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
            names = [
                getattr(node, key, "") for key in ("attr", "id", "module", "value")
            ]
            if any(re.fullmatch(r"(?i)[\w.]*parquet\w*", str(name)) for name in names):
                found.add((module, node.lineno))
    assert {module.removeprefix("spikelab.") for module, _ in found} == {
        "formats",
        "registry",
        "spikedata.export_mixin",
    }
    assert len(found) == 3
    texts = [(PROJECT / n).read_text("utf-8") for n in ("pyproject.toml", "tox.ini")]
    lines = "\n".join(texts).splitlines()
    assert len([line for line in lines if re.search("parquet|pyarrow", line)]) == 2


@pytest.mark.parametrize("module", SURFACE)
def test_public_surface(module):
    """The names that the design fixes can be imported from where it says."""
    found = importlib.import_module(module)
    missing = [name for name in SURFACE[module].split() if not hasattr(found, name)]
    assert not missing


@pytest.mark.parametrize("module", SURFACE)
def test_public_modules_are_attributes(module):
    """``import spikelab`` and then dotted names lead to the same modules."""
    found = spikelab
    for name in module.split(".")[1:]:
        found = getattr(found, name)
    assert found is sys.modules[module]


@pytest.mark.parametrize("module", SURFACE)
def test_all_names_exist(module):
    """What ``__all__`` promises is there, and documented."""
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        assert getattr(found, name).__doc__, name


def documented(module):
    """What the reference shows of a module: classes, functions, methods by name."""
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", None) or SURFACE[module].split():
        value = getattr(found, name)
        if callable(value):
            yield name, value
        if inspect.isclass(value):
            members = inspect.getmembers(
                value, lambda m: callable(m) or isinstance(m, property)
            )
            for member, method in members:
                if not member.startswith("_") and member not in NOT_SHOWN:
                    yield f"{name}.{member}", method


@pytest.mark.parametrize("module", SURFACE)
def test_everything_public_has_an_example(module):
    """The build of the documentation runs them."""
    lacking = [
        name
        for name, value in documented(module)
        if "\nExamples\n---" not in inspect.getdoc(value)
    ]
    assert not lacking


@pytest.mark.parametrize("method", ["csv", "hdf5", "kilosort", "nwb", "parquet", "phy"])
def test_an_option_is_described_once(method):
    """Also one that a writer shares with its base."""
    text = inspect.getdoc(getattr(spikelab.SpikeData, f"to_{method}"))
    parameters = text.split("Parameters\n---")[1].split("Returns\n---")[0]
    names = re.findall(r"\w+", " ".join(re.findall(r"(?m)^(\S.*) : ", parameters)))
    assert len(names) == len(set(names))


def test_the_page_of_spikedata_shows_every_method():
    """They are listed there by what they are for."""
    page = (PROJECT / "docs" / "api" / "spikedata.rst").read_text(encoding="utf-8")
    names = {n for n in dir(spikelab.SpikeData) if not n.startswith("_")}
    shown = set(re.findall(r"spikelab\.SpikeData\.(\w+)", page))
    assert shown == names - {*NOT_SHOWN, "FIELDS"}


def test_version():
    """The package says the version that is installed."""
    assert spikelab.__version__ == importlib.metadata.version("spikelab")


def test_type_information_is_installed():
    """Type checkers find the marker file."""
    assert (importlib.resources.files("spikelab") / "py.typed").is_file()


def test_runtime_dependencies():
    """The package needs numpy, h5py, boto3 and attrs, and nothing else."""
    bounds = pyproject()["project"]["dependencies"]
    names = ["attrs", "boto3", "h5py", "numpy"]
    assert [bound.partition(">=")[0] for bound in bounds] == names


def test_every_extra_is_tested_and_part_of_all():
    """Those without which the tests run are named by `all` itself, for the bridges."""
    extras = pyproject()["project"]["optional-dependencies"]
    light, every = (set(re.findall(r"\w+", extras[n][0])) for n in ("light", "all"))
    assert extras.keys() - {"light", "all"} == (light | every) - {"spikelab", "light"}
    lowest = ["attrs==23.2", "pyarrow==14.0", "scipy==1.10"]
    assert set(lowest) <= set(lowest_versions.lowest())


def pyproject():
    """The project's configuration."""
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def readme_blocks(language):
    """The code blocks of the README in one language."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_readme_begins_with_two_commands():
    """One command installs and runs the main job; the other is the one that CI runs."""
    install, test = (block.strip() for block in readme_blocks("console")[:2])
    assert install.endswith("spikelab demo demo/")
    assert "\n" not in install + test
    assert test in (PROJECT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_readme_examples_run(tmp_path, monkeypatch, capsys):
    """The README's Python runs, block after block."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in readme_blocks("python"):
        exec(block, names)
    assert capsys.readouterr().out.count("\n") == len(
        names["writer"].losses(names["sd"])
    )


@pytest.mark.parametrize(
    "page", sorted((PROJECT / "docs").rglob("*.rst")), ids=lambda p: p.stem
)
def test_python_in_the_docs_is_executed(page):
    """Python in the documentation is written so that the build runs it."""
    assert not re.search(
        r"^\.\. code(-block)?:: py", page.read_text(encoding="utf-8"), re.MULTILINE
    )

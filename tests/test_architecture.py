"""The shape of the code: imports go down only and do nothing, files and functions stay small, scripts are thin."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "where2edit"

# The rooms of the package. A module may import its own room and those that stand before it, never one after it.
ROOMS = (
    "core",
    "files",
    "ops",
    "backbones",
    "text_image",
    "generators",
    "editing",
    "methods",
    "photos",
    "training",
    "facetext",
    "inversion",
)
ROOMS += ("editor", "photo_editing", "evaluation", "commands")

MODULE_LINES, FUNCTION_LINES, MEDIAN_LINES, SCRIPT_LINES = 300, 40, 10, 15
# What a machine may lack; a module that needs one of them imports it inside the function that uses it.
OPTIONAL = ["cv2", "facenet_pytorch", "filelock", "gradio", "huggingface_hub", "matplotlib", "onnxruntime", "open_clip"]
OPTIONAL += ["openvino", "pypi_simple", "requests", "scipy", "sklearn", "tensorboard", "timm", "tokenizers", "urllib3"]
OPTIONAL += ["torch_fidelity", "torchmetrics", "torchvision", "transformers"]
# Calls that may stand at the top of a module because they only build a value; classes are known by a capital letter.
BUILDERS = {"cache", "count", "dataclass", "dict", "enumerate", "field", "float", "frozenset", "int", "items", "join"}
BUILDERS |= {"keys", "len", "linspace", "list", "log", "lru_cache", "max", "min", "namedtuple", "no_grad", "range"}
BUILDERS |= {"register", "set", "sorted", "split", "splitlines", "sqrt", "str", "strip", "sum", "tensor", "tuple"}
BUILDERS |= {"values", "zip", "re.compile", "_Loader.add_constructor", "_Loader.add_implicit_resolver"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its path below where2edit."""
    return {str(path.relative_to(PACKAGE)): _parse(path) for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def full_names() -> dict[str, str]:
    """where2edit.a.b of every module -> its path below where2edit."""
    dotted = {".".join(["where2edit", *Path(name).with_suffix("").parts]): name for name in modules()}
    return {full.removesuffix(".__init__"): name for full, name in dotted.items()}


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def scripts() -> list[Path]:
    return sorted((ROOT / "scripts").glob("*.py"))


def all_trees() -> dict[str, ast.Module]:
    return modules() | {f"scripts/{path.name}": _parse(path) for path in scripts()}


def room_of(module: str) -> str:
    """The room of `where2edit.a.b` or `a/b.py`; "" for the package itself."""
    name = module.removeprefix("where2edit").lstrip(".").replace("/", ".").removesuffix(".py").split(".")[0]
    if name in ("", "__init__"):
        return ""
    assert name in ROOMS, f"where2edit/{name} is no room; put it into one of {', '.join(ROOMS)}"
    return name


def height(module: str) -> int:
    """Where the room of a module stands in ROOMS; the package itself stands before all of them."""
    return -1 if room_of(module) == "" else ROOMS.index(room_of(module))


def imports(tree: ast.AST, top_only: bool = False) -> Iterator[tuple[str, int]]:
    """(module, line) of each import from the package; `from where2edit.a import b` is where2edit.a.b if that exists."""
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: write the full name instead of a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in full_names() else node.module for name in inner]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.split(".")[0] == "where2edit")


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


def test_every_module_has_a_room():
    assert sorted(ROOMS) == sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] != "_")
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"], "loose modules at the package root"
    for name in modules():
        room_of(name)


def test_an_unknown_module_is_told_where_it_belongs():
    with pytest.raises(AssertionError, match="is no room; put it into one of core"):
        room_of("where2edit.utils")


def test_imports_go_down_only():
    wrong = [
        f"where2edit/{name}:{line} imports {module}, whose room stands after its own"
        for name, tree in modules().items()
        for module, line in imports(tree)
        if height(module) > height(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_in_a_circle():
    edges = {
        full: {module for module, _ in imports(modules()[name], top_only=True)} for full, name in full_names().items()
    }

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, "import circle: " + " -> ".join([*path[path.index(module) :], module])
        for other in sorted(edges.get(module, ())) if module not in done else ():
            walk(other, (*path, module))
        done.add(module)

    done: set[str] = set()
    for module in edges:
        walk(module, ())


IMPORT_ALL = """
import importlib, importlib.abc, json, os, socket, sys, threading
optional, names = json.loads(sys.argv[1]), json.loads(sys.argv[2])
import torch, numpy, PIL.Image, safetensors.torch, yaml, tqdm

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in optional:
            raise ImportError(f"optional package {name} is imported while the module is imported")

def refuse(*args, **kwargs):
    raise OSError("the network is used while the module is imported")

for name in list(sys.modules):
    if name.split(".")[0] in optional:
        del sys.modules[name]
sys.meta_path.insert(0, Absent())
socket.socket.connect = refuse
def state():
    return {"sys.path": list(sys.path), "environment": dict(os.environ), "folder": sorted(os.listdir(".")),
            "threads": threading.active_count(), "dtype": str(torch.get_default_dtype()), "seed": torch.initial_seed(),
            "num_threads": torch.get_num_threads(), "grad": torch.is_grad_enabled(),
            "cuda": torch.cuda.is_initialized(), "cwd": os.getcwd()}
before, wrong = state(), []
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        wrong.append(f"{name}: {type(error).__name__}: {error}")
    after = state()
    wrong += [f"{name} changes {key} while it is imported" for key in before if before[key] != after[key]]
    before = after
print(json.dumps(wrong))
"""


def test_every_module_imports_alone_and_does_nothing(tmp_path):
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(OPTIONAL), json.dumps(list(full_names()))]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.strip().splitlines()
    assert len(lines) == 1, f"importing prints: {lines[:-1]}"
    wrong = json.loads(lines[-1])
    assert not wrong, "\n".join(wrong)


def _called(node: ast.Call) -> str:
    """The last name of what is called: `a.b.c()` -> c."""
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "?")


def _top_calls(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """Calls that run when a module is imported: not those inside functions or under `if __name__ == "__main__"`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            roots = [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif isinstance(node, ast.ClassDef):
            yield from _top_calls(node.body)
            roots = [*node.decorator_list, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            continue
        else:
            roots = [node]
        inside = [n for root in roots for n in ast.walk(root)]
        later = {inner for n in inside if isinstance(n, ast.Lambda) for inner in ast.walk(n)}
        yield from (n for n in inside if isinstance(n, ast.Call) and n not in later)


def test_nothing_works_at_import_time():
    wrong = [
        f"{name}:{call.lineno} calls {_called(call)} when it is imported"
        for name, tree in all_trees().items()
        for call in _top_calls(tree.body)
        if not BUILDERS & {_called(call), ast.unparse(call.func)} and not _called(call)[:1].isupper()
    ]
    assert not wrong, "\n".join(wrong)


def test_sizes():
    wrong = []
    for name, tree in modules().items():
        lines = len((PACKAGE / name).read_text(encoding="utf-8").splitlines())
        wrong += [f"{name} has {lines} lines, at most {MODULE_LINES}"] if lines > MODULE_LINES else []
        for node in functions(tree):
            if length(node) > FUNCTION_LINES:
                wrong.append(f"{name}:{node.lineno} {node.name} has {length(node)} lines, at most {FUNCTION_LINES}")
    for path in scripts():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        wrong += [f"scripts/{path.name} has {lines} lines, at most {SCRIPT_LINES}"] if lines > SCRIPT_LINES else []
    assert not wrong, "\n".join(wrong)


def test_functions_are_short_as_a_rule():
    sizes = [length(node) for tree in modules().values() for node in functions(tree)]
    assert statistics.median(sizes) < MEDIAN_LINES


def test_no_two_classes_have_one_name():
    where: dict[str, list[str]] = {}
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(f"{name}:{node.lineno}")
    twice = {name: places for name, places in where.items() if len(places) > 1}
    assert not twice, twice


PAGE = ROOT / "docs" / "architecture.md"
STEP = re.compile(r"`where2edit/([\w/]+\.py):([\w.]+)`")  # a step of the path of a prompt


def definitions(tree: ast.Module) -> set[str]:
    """Every function and class of a module, and every method as Class.method."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


def test_the_page_on_architecture_is_true():
    page = PAGE.read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE)
    assert tuple(rooms) == ROOMS, "the table of rooms is in the order of the imports"
    steps = STEP.findall(page)
    absent = [f"{name}:{what}" for name, what in steps if what not in definitions(modules()[name])]
    assert not absent, f"the paths of a prompt and of a photo name what does not exist: {absent}"
    for of in ("prompt", "photo"):
        path = page.split(f"## The path of a {of}\n")[1].split("\n## ")[0]
        files = {name for name, _ in STEP.findall(path)}
        assert 0 < len(files) <= 10, f"a {of} passes through {len(files)} files"


def test_documents_are_cited_by_their_pages():
    """No page is called design: what used to cite one cites docs/architecture.md."""
    cited = re.compile("design (section" + "|contract)", re.IGNORECASE)
    wrong = [str(path.relative_to(ROOT)) for path in sources() if cited.search(path.read_text(encoding="utf-8"))]
    assert not wrong, wrong


def _is_path_edit(node: ast.AST) -> bool:
    target = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
    stores = isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store)
    return ast.unparse(target) == "sys.path" and (stores or target is not node)


FORBIDDEN = {
    "calls .cuda(); device comes from the tensors": lambda n: isinstance(n, ast.Call) and _called(n) == "cuda",
    "edits sys.path": lambda n: isinstance(n, ast.Call | ast.Attribute) and _is_path_edit(n),
    "calls torch.load without weights_only=True": lambda n: (
        isinstance(n, ast.Call)
        and ast.unparse(n.func) == "torch.load"
        and not any(k.arg == "weights_only" and getattr(k.value, "value", None) is True for k in n.keywords)
    ),
    "unpickles": lambda n: (
        isinstance(n, ast.Call) and ast.unparse(n.func) in ("pickle.load", "pickle.loads", "pickle.Unpickler")
    ),
    "runs text as code": lambda n: isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("eval", "exec"),
    "catches everything": lambda n: isinstance(n, ast.ExceptHandler) and n.type is None,
    "imports all names": lambda n: isinstance(n, ast.ImportFrom) and n.names[0].name == "*",
}


@pytest.mark.parametrize("fault", FORBIDDEN)
def test_what_no_module_does(fault):
    found = FORBIDDEN[fault]
    wrong = [
        f"{name}:{node.lineno} {fault}" for name, tree in all_trees().items() for node in ast.walk(tree) if found(node)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code, fault",
    [
        ("x.cuda()", "calls .cuda(); device comes from the tensors"),
        ("sys.path.insert(0, 'x')", "edits sys.path"),
        ("sys.path = []", "edits sys.path"),
        ("sys.path += ['x']", "edits sys.path"),
        ("torch.load(x)", "calls torch.load without weights_only=True"),
        ("torch.load(x, weights_only=False)", "calls torch.load without weights_only=True"),
        ("pickle.load(x)", "unpickles"),
        ("eval(x)", "runs text as code"),
        ("try:\n    x\nexcept:\n    y", "catches everything"),
        ("from a import *", "imports all names"),
    ],
)
def test_each_fault_would_be_seen(code, fault):
    assert any(FORBIDDEN[fault](node) for node in ast.walk(ast.parse(code)))
    harmless = "torch.load(x, weights_only=True)\nx.to(y)\nprint(sys.path)\nmodel.eval()\nfrom a import b"
    assert not any(FORBIDDEN[fault](node) for node in ast.walk(ast.parse(harmless)))


def test_work_at_import_time_would_be_seen():
    code = "fetch('x')\nA = load('y')\nB = Registry('z')\ndef f(a=make()):\n    run()\nclass C:\n    d = mkdir()\n"
    seen = [_called(call) for call in _top_calls(ast.parse(code).body)]
    assert seen == ["fetch", "load", "Registry", "make", "mkdir"]


def sources() -> list[Path]:
    """Every text file that is part of the project."""
    kinds = {".py", ".sh", ".yaml", ".md", ".txt", ".toml", ".ini", ".cu", ".cpp", ".cuh", ".h"}
    folders = ["where2edit", "scripts", "tests", "configs", "pretrained_models", "docs", "celeba-caption"]
    inside = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(p for p in [*ROOT.glob("*"), *inside] if p.suffix in kinds and p.is_file())


def test_no_unfinished_business_and_no_place_of_one_machine():
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|(?<![\w.~$}])/(work|root|home|tmp)/")
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_names_that_say_nothing_and_missing_headings():
    for name, tree in all_trees().items():
        assert Path(name).stem not in ("utils", "util", "helpers", "misc", "common"), name
        assert ast.get_docstring(tree) or Path(name).name == "__init__.py", f"{name} lacks a heading sentence"


HELP_ALL = """
import contextlib, io, json, runpy, sys
wrong = []
for path in json.loads(sys.argv[1]):
    sys.argv, text = [path, "--help"], io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            runpy.run_path(path, run_name="__main__")
        code = "nothing"
    except SystemExit as end:
        code = end.code
    if code not in (0, None) or "usage:" not in text.getvalue() or "python scripts/" not in text.getvalue():
        wrong.append(f"{path} --help ends with {code} and prints {text.getvalue()[:300]!r}")
print(json.dumps(wrong))
"""


def test_every_script_explains_itself_with_commands(tmp_path):
    command = [sys.executable, "-c", HELP_ALL, json.dumps([str(path) for path in scripts()])]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    wrong = json.loads(answer.stdout.splitlines()[-1])
    assert not wrong, "\n".join(wrong)
    assert not list(tmp_path.iterdir()), "--help leaves files behind"


def test_ruff_finds_nothing():
    pytest.importorskip("ruff", reason="ruff is a test-only dependency")
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "-q", str(ROOT)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout

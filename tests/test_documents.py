"""What the documents say can be typed: every config switch, flag, path and import that they name exists."""

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import toy_cases as toy
from toy_cases import random_vgg

from where2edit.backbones import arcface, face_parsing, vgg
from where2edit.editor.profile import Profile, load_profile
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import build_loss

ROOT = Path(__file__).resolve().parents[1]
ROOMS = sorted(path.name for path in (ROOT / "where2edit").iterdir() if (path / "__init__.py").is_file())
PROFILES = ("mobile", "ffhq", "mobile_clip", "toy", "methods/feat", "methods/feat_ffhq")
PROFILES += ("methods/tmsa", "methods/tmsa_ffhq", "methods/tedigan", "methods/tedigan_ffhq", "methods/hairclip")
PROFILES += ("methods/hairclip_ffhq",)
PROFILES += ("methods/styleclip_optimization", "methods/styleclip_mapper", "methods/styleclip_global")
PROFILES += ("methods/stylemc", "methods/stylemc_ffhq")
PROFILES += ("methods/coralstyleclip", "methods/coralstyleclip_ffhq")
SECTIONS = "|".join(field.name for field in fields(Profile) if field.name != "name")
# A switch as on the command line, such as blending.blur=1, losses.<name>.ramp=[0,0]
SWITCH = re.compile(r"(?<![\w./])([a-z_]+(?:\.(?:\w+|<name>))+)=(\[[^\]]*\]|[^\s`,;'\"|)]+)")
KEY = re.compile(rf"`((?:{SECTIONS})(?:\.(?:\w+|<name>))+)`")


def documents() -> dict[str, str]:
    """Everything that people read, by its path: Markdown files, comments of configs, shell scripts."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pretrained_models/*.md")]
    pages += [ROOT / "celeba-caption/README.md", *ROOT.glob("*.sh")]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    for page in ROOT.glob("configs/**/*.yaml"):
        lines = page.read_text(encoding="utf-8").splitlines()
        texts[page] = "\n".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    for page, text in texts.items():
        text = re.sub(r"```python\n# where2edit/.*?```", "", text, flags=re.DOTALL)  # see test_contributing.py
        texts[page] = re.sub(r"\\\n\s*", " ", text)  # a command on one line
    joined = {str(page.relative_to(ROOT)): text for page, text in sorted(texts.items())}
    assert {"README.md", "CONTRIBUTING.md", "docs/paper_vs_code.md", "configs/mobile.yaml"} <= set(joined)
    return joined


def meant_profile(page: str, before: str, line: str) -> str:
    """The profile that a switch is for: named in its line, by the page itself or in the heading above it."""
    headings = re.findall(r"^#+ .*$", before, re.MULTILINE)
    for text in (line, page, headings[-1] if headings else ""):
        named = re.search(r"configs/([\w/]+)\.yaml", text)
        if named and named.group(1) in PROFILES:
            return named.group(1)
    return "ffhq" if page == "docs/paper_vs_code.md" else "mobile"


def places(pattern: re.Pattern) -> list[tuple]:
    """(page, profile, groups of the match ...) of every match; the changelog is left out, it names what is gone."""
    found = set()
    for page, text in documents().items():
        for match in pattern.finditer(text) if page != "CHANGELOG.md" else ():
            start = text.rfind("\n", 0, match.start()) + 1
            line = text[start : text.find("\n", match.end())]
            found.add((page, meant_profile(page, text[:start], line), *match.groups()))
    return sorted(found)


def spelled(key: str) -> list[str]:
    """`key` with <name> replaced by each loss."""
    return [key.replace("<name>", loss) for loss in LOSSES.names()] if "<name>" in key else [key]


@pytest.fixture
def no_download(monkeypatch):
    monkeypatch.setattr(vgg.VGG16, "load", classmethod(random_vgg))
    monkeypatch.setattr(arcface.ArcFace, "load", toy.ColourIdentity)
    monkeypatch.setattr(vgg.LPIPS, "load", toy.random_lpips)
    monkeypatch.setattr(face_parsing.FaceParser, "load", toy.DarkHair)


def test_there_are_switches_to_check():
    assert len(places(SWITCH)) > 20 and len(places(KEY)) > 5


def accept(profile: str, key: str, value: str) -> None:
    """Load a profile with a switch and build the loss that it concerns. Raises ValueError for a wrong switch."""
    section, name, *_ = key.split(".")
    weight = [f"losses.{name}.weight=1"] if section == "losses" else []
    built = load_profile(ROOT / f"configs/{profile}.yaml", [*weight, f"{key}={value}"])
    if section == "losses":
        build_loss(name, built.losses[name], toy.encoder())


@pytest.mark.parametrize("page, profile, key, value", places(SWITCH))
def test_every_switch_is_accepted(page, profile, key, value, no_download):
    for name in spelled(key):
        accept(profile, name, value)


@pytest.mark.parametrize("page, profile, key", places(KEY))
def test_every_key_exists(page, profile, key):
    """A key that exists answers {no_such: 1} by its type or by its fields, never by being unknown itself."""
    for name in spelled(key):
        with pytest.raises(ValueError) as error:
            accept(profile, name, "{no_such: 1}")
        unknown = re.match(r"unknown key '(.+?)'", str(error.value))
        assert unknown is None or unknown.group(1).startswith(name + "."), str(error.value)


def test_a_switch_that_is_gone_would_be_seen():
    with pytest.raises(ValueError, match="unknown key 'regions.no_such'"):
        load_profile(ROOT / "configs/mobile.yaml", ["regions.no_such=1"])


HELP = """
import contextlib, io, json, runpy, sys
texts = {}
for path in json.loads(sys.argv[1]):
    sys.argv, text = [path, "--help"], io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(text):
        runpy.run_path(path, run_name="__main__")
    texts[path] = text.getvalue()
print(json.dumps(texts))
"""


@cache
def help_texts() -> dict[str, str]:
    """scripts/x.py -> what its --help prints."""
    scripts = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "scripts").glob("*.py"))]
    command = [sys.executable, "-c", HELP, json.dumps(scripts)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout.splitlines()[-1])


def test_every_script_and_flag_that_is_named_exists():
    seen, wrong = 0, []
    for page, text in documents().items():
        for script, rest in re.findall(r"(scripts/\w+\.py)([^`\n#]*)", text):
            printed = help_texts().get(script)
            if printed is None:
                wrong.append(f"{page}: {script} does not exist")
                continue
            flags = re.findall(r"(?<!\S)--[a-z][\w-]*", rest.split("scripts/")[0])
            seen += len(flags)
            wrong += [f"{page}: {script} has no {flag}" for flag in flags if not re.search(rf"{flag}\b(?!-)", printed)]
    assert seen > 40 and not wrong, "\n".join(wrong)


PATH = re.compile(
    r"(?<![\w./~$}<-])((?:where2edit|tests|configs|docs|scripts|pretrained_models|celeba-caption|"
    + "|".join(ROOMS)
    + r")/[\w./*-]*\w/?)(?![\w<])"
)
MADE_BY_A_COMMAND = re.compile(r"pretrained_models/(downloaded|regions-ffhq-k20\.safetensors)")  # not in the checkout


def test_every_path_that_is_named_exists():
    seen, wrong = 0, []
    for page, text in documents().items():
        for name in PATH.findall(text):
            seen += 1
            bases = (ROOT, ROOT / "where2edit")
            found = [
                path for base in bases for pattern in (name, f"{name}.py") for path in base.glob(pattern.rstrip("/"))
            ]
            if not found and not MADE_BY_A_COMMAND.match(name):
                wrong.append(f"{page}: {name}")
    assert seen > 60 and not wrong, "\n".join(sorted(set(wrong)))


def test_every_link_leads_somewhere():
    wrong = []
    for page, text in documents().items():
        for link in re.findall(r"\]\(([^)#\s]+)", text) if page.endswith(".md") else ():
            if not re.match(r"[a-z]+:", link) and not ((ROOT / page).parent / link).exists():
                wrong.append(f"{page}: {link}")
    assert not wrong, "\n".join(wrong)


def test_every_import_that_is_named_works():
    seen, wrong = 0, []
    for page, text in documents().items():
        for module, names in re.findall(r"from (where2edit[\w.]*) import (\w+(?:, \w+)*)", text):
            seen += 1
            found = importlib.import_module(module)
            for name in names.split(", "):
                if not hasattr(found, name) and importlib.util.find_spec(f"{module}.{name}") is None:
                    wrong.append(f"{page}: from {module} import {name}")
    assert seen > 3 and not wrong, "\n".join(wrong)


def test_python_in_documents_is_python():
    for page, text in documents().items():
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            compile(block, page, "exec")


@pytest.mark.slow
def test_the_readme_s_python_runs():
    for block in re.findall(r"```python\n(.*?)```", documents()["README.md"], re.DOTALL):
        answer = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr

"""Configs that nobody should have written: every number has bounds, every text has limits, every name is a name."""

import os
import random
import time

import pytest
import toy_cases as toy
from hostile_cases import annotated, numbers, one_sentence, outside, sections

from where2edit.core import config
from where2edit.core.sentences import MOST, QUOTED, figure, quoted
from where2edit.core.sentences import one_sentence as shortened
from where2edit.core.yaml_files import MOST_BYTES, MOST_NODES, parse_yaml, read_yaml
from where2edit.editing.attention import ATTENTIONS
from where2edit.editing.mappers import MAPPERS
from where2edit.editing.seams import SEAMS
from where2edit.editor.profile import Profile, load_profile
from where2edit.editor.recipes import Recipe
from where2edit.evaluation import protocols
from where2edit.evaluation.blind_pairs import BlindPlan
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import Protocol
from where2edit.facetext.config import EncoderConfig
from where2edit.generators import GENERATORS
from where2edit.inversion import INVERSIONS
from where2edit.inversion.base import InversionConfig
from where2edit.inversion.encoder_config import FaceEncoderConfig
from where2edit.text_image import TEXT_IMAGE
from where2edit.training.losses import LOSSES

TOY = toy.ROOT / "configs/toy.yaml"
REGISTRIES = {
    "generator.options": GENERATORS,
    "text_image.options": TEXT_IMAGE,
    "method.mapper.options": MAPPERS,
    "method.attention.options": ATTENTIONS,
    "blending.seam.options": SEAMS,
    "losses": LOSSES,
    "inversion.options": INVERSIONS,
}
OPTIONS = [(f"{where}/{name}", r.options_of(name)) for where, r in REGISTRIES.items() for name in r.names()]
KINDS = [
    *sections(Profile),
    *OPTIONS,
    *sections(EncoderConfig, "facetext"),
    *sections(FaceEncoderConfig, "face_encoder"),
    *sections(InversionConfig, "inversion"),
    *sections(Protocol, "protocol"),
    *sections(Recipe, "recipe"),
    ("evaluation", EvaluationOptions),
    ("blind_test", BlindPlan),
]
FIELDS = [
    (f"{where}.{name}".strip("."), owner, name, kind, bounds)
    for where, owner in KINDS
    for name, hint in annotated(owner)
    for kind, bounds in numbers(hint)
]


@pytest.mark.parametrize(("where", "bounds"), [(each[0], each[4]) for each in FIELDS], ids=[each[0] for each in FIELDS])
def test_every_number_of_a_config_has_bounds(where, bounds):
    assert bounds is not None, f"{where} has no bounds: annotate it with one of where2edit.core.bounds"


def needed(owner):
    """What a dataclass lacks a default for: values that are right."""
    known = {"weight": 1.0, "name": "x"}
    return {name: value for name, value in known.items() if name in owner.__dataclass_fields__}


BUILT = [each for each in FIELDS if each[1] not in (Protocol, Recipe, protocols.Goal, protocols.Row)]


@pytest.mark.parametrize(("where", "owner", "name", "kind", "bounds"), BUILT, ids=[each[0] for each in BUILT])
def test_numbers_out_of_bounds_are_one_sentence(where, owner, name, kind, bounds):
    several = "tuple" in str(owner.__dataclass_fields__[name].type)
    for value in outside(kind, bounds):
        tree = needed(owner) | {name: [value] if several else value}
        with pytest.raises(ValueError) as error:
            config.build(owner, tree, "section")
        assert name in one_sentence(str(error.value)), error.value


# The cases of bug reports, as they are typed.
OVERRIDES = {
    "training.lr=.nan": "training.lr is nan; allowed: above 0, up to 10",
    "training.lr=.inf": "training.lr is inf",
    "training.lr=-1": "training.lr is -1",
    "training.lr=1e400": "training.lr is inf",
    "training.steps=1000000000000000000000000": "training.steps is 1000000000000000000000000; allowed: 1 to 1,000,000",
    "training.steps=0": "training.steps is 0",
    "training.seed=-1": "training.seed is -1",
    "training.seed=99999999999999999999": "training.seed is 99999999999999999999; allowed: 0 to 4,294,967,295",
    "training.truncation=9": "training.truncation is 9",
    "training.prompts=1000000000": "training.prompts is 1000000000",
    "generator.truncation=9": "generator.truncation is 9; allowed: -2 to 2 (1 leaves w as it is",
    "generator.truncation=.nan": "generator.truncation is nan",
    "generator.options.resolution=0": "generator.options.resolution is 0",
    "generator.options.resolution=10000000000": "generator.options.resolution is 10000000000",
    "generator.options.resolution=8.0": "generator.options.resolution must be int, got float 8.0",
    "generator.options.channel_multiplier=true": "generator.options.channel_multiplier must be int, got bool True",
    "generator.options.seed=-5": "generator.options.seed is -5",
    "generator.name=stylegan4": "unknown generator 'stylegan4'; did you mean 'stylegan2'",
    "text_image.name=clap": "unknown text-image encoder 'clap'; did you mean 'clip'",
    "method.name=where3edit": "unknown method 'where3edit'; did you mean 'where2edit'",
    "method.strength=0": "method.strength is 0; allowed: above 0, up to 1",
    "method.strength=-.inf": "method.strength is -inf",
    "method.attention.options.channels=0": "method.attention.options.channels is 0; allowed: 1 to 4,096",
    "method.attention.options.channels=10000000000": "method.attention.options.channels is 10000000000",
    "method.attention.options.starts_at=1": "method.attention.options.starts_at is 1; allowed: 0, below 1",
    "method.mapper.options.hidden=10000000000": "method.mapper.options.hidden is 10000000000",
    "method.mapper.options.components=0": "method.mapper.options.components is 0; allowed: 1 to 512",
    "method.mapper.options.samples=100000000000": "method.mapper.options.samples is 100000000000",
    "regions.samples=1000000000": "regions.samples is 1000000000; allowed: 1 to 100,000",
    "regions.k=-3": "regions.k is -3; allowed: 1 to 1,000",
    "regions.seed=-1": "regions.seed is -1",
    "regions.upsample=1000": "regions.upsample is 1000",
    "regions.impl=gpu": "regions.impl is 'gpu'; Known: auto, fast, reference",
    "regions.site=64.conv1": "unknown key 'regions.site'",
    "blending.blur=100000000001": "blending.blur is 100000000001",
    "blending.blur=4": "blending.blur is 4; give an odd number",
    "blending.sigma=0": "blending.sigma is 0",
    "blending.threshold=.nan": "blending.threshold is nan; allowed: 0 to 1 (0.8 in the released code)",
    "losses.unasked.weight=-1": "losses.unasked.weight is -1; allowed: 0 to 1,000,000",
    "losses.style_delta.weight=.nan": "losses.style_delta.weight is nan",
    "losses.region_hinge.ramp=[0.5, .nan]": "losses.region_hinge.ramp[1] is nan",
    "losses.region_hinge.ramp=[0.5, 0.2]": "a loss ramp is two shares of the run",
    "losses.clip_contrastive.options.temperature=0": "losses.clip_contrastive.options.temperature is 0",
    "losses.clip_contrastive.options.views=100000": "losses.clip_contrastive.options.views is 100000",
    "losses.clap.weight=1": "unknown loss 'clap'",
    "losses.unasked.options.exempt=0": "losses.unasked.options.exempt is 0",
    "preview_fit.canvases=1": "preview_fit.canvases is 1",
    "preview_fit.batch=99999999": "preview_fit.batch is 99999999",
    "natural_strength.fades=1000000": "natural_strength.fades is 1000000",
    "natural_strength.ladder=[0.1, .nan]": "natural_strength.ladder[1] is nan",
    "data.distinct=0": "data.distinct is 0; allowed: above 0, up to 1 (any prompt)",
    "name=../evil": "the name of a profile is '../evil'; give a name",
    "name=a/b": "the name of a profile is 'a/b'",
    "name=": "name must be str, got NoneType None",
    "name=''": "the name of a profile is ''",
    "name='..'": "the name of a profile is '..'",
    "name='.hidden'": "the name of a profile is '.hidden'",
    "name='a b'": "the name of a profile is 'a b'",
    "training.lr": "is not key=value",
    "=1": "is not key=value",
    "training.lr=[": "is not a YAML value",
    "training.lr=&a [*a]": "is not a YAML value",
    "training.lr=!!python/object/apply:os.system [id]": "is not a YAML value",
    "training=5": "training must be a mapping, got 5",
    ".".join("a" * 30) + "=1": "is not key=value",
    "training.lr=" + "[" * 5000: "is not a YAML value",
    "training.lr=" + "x" * 300_000: "is not a YAML value",
    "training." + "l" * 100_000 + "=1": "unknown key",
    "training.lr=[" + "1," * 30_000 + "]": "is not a YAML value",
    "training.lr=0x" + "f" * 10_000: "training.lr is about 10^12041; allowed",
}


@pytest.mark.parametrize("change", OVERRIDES, ids=lambda change: change[:50])
def test_an_override_that_makes_no_sense_is_one_sentence(change):
    with pytest.raises(ValueError) as error:
        load_profile(TOY, [change])
    assert OVERRIDES[change] in one_sentence(shortened(str(error.value)))


def bomb(width, levels):
    """Aliases of aliases: `width` to the power of `levels` values in a few lines."""
    lines = ["a0: &a0 [" + ", ".join(["x"] * width) + "]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


TEXTS = {
    "alias bomb": (bomb(9, 9), "holds more than 20,000 values, aliases written out"),
    "slow alias bomb": (bomb(2, 19), "nested more than 20|holds more than 20,000 values"),
    "mapping bomb": (bomb(9, 9).replace("[", "{k: [").replace("]", "]}"), "holds more than|nested more"),
    "chain of aliases": ("a0: &a0 [1]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)), "nested more"),
    "alias of itself": ("a: &a [*a]", r"alias \*a names nothing that ends before it"),
    "alias of a parent": ("a: &a {b: {c: *a}}", r"alias \*a names nothing"),
    "unknown alias": ("a: *b", r"alias \*b names nothing"),
    "100,000 keys": ("\n".join(f"k{i}: 1" for i in range(100_000))[: MOST_BYTES - 1], "holds more than 20,000 values"),
    "keys in a row": ("{" + ", ".join(f"k{i}: 1" for i in range(9000)) + "}", "unknown key 'k0'|a mapping"),
    "keys on top of each other": ("? [" * 100 + "a", "nested more|not valid YAML"),
    "lists in lists": ("a: " + "[" * 50_000, "nested more than 20 levels"),
    "mappings in mappings": ("".join("  " * i + "a:\n" for i in range(200)), "nested more than 20 levels"),
    "a long value": ("a: " + "x" * 100_000, "a value has 100,000 characters"),
    "a long key": ("x" * 100_000 + ": 1", "not valid YAML"),
    "too long": ("# " + "x" * 500_000, "has 500,002 bytes, at most 262,144 are read"),
    "too long as a tag": ("!" + "x" * 250_000 + " a", "not valid YAML"),
    "sexagesimal": ("a: 1" + ":59" * 6000, "unknown key 'a'"),
    "a number of 5,000 digits": ("a: " + "9" * 5000, "not valid YAML"),
    "a hexadecimal number": ("seed: 0x" + "f" * 19_000, "unknown key 'seed'"),
    "code": ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    "a module": ("a: !!python/name:os.system", "not valid YAML"),
    "a set": ("!!set {a, b}", "not valid YAML|holds a set"),
    "two documents": ("a: 1\n---\nb: 2", "not valid YAML"),
    "a key twice": ("name: a\nname: b", "key 'name' stands twice"),
    "a long key twice": ("'" + "y" * 900 + "': 1\n'" + "y" * 900 + "': 2", "stands twice"),
    "merge": ("a: &a {x: 1}\nb: {<<: *a}", "not valid YAML|unknown key"),
    "NUL": ("a: \0", "not valid YAML"),
    "bell": ("a: \a", "not valid YAML"),
    "list": ("[1, 2]", "holds a list"),
    "words": ("just words", "holds a str"),
    "tabs": ("\ta: 1", "not valid YAML"),
    "percent": ("%YAML 9.9\n---\na: 1", "not valid YAML"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_refused_at_once_in_one_sentence(name, tmp_path):
    text, match = TEXTS[name]
    (tmp_path / "a.yaml").write_text(text)
    begin = time.process_time()
    with pytest.raises(ValueError, match=match) as error:
        load_profile(tmp_path / "a.yaml")
    one_sentence(shortened(str(error.value)))
    assert time.process_time() - begin < 10, "it takes a second"


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b"# \xe2\x80\x8b\n", b""])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_what_other_editors_write_is_read(prefix, ends, tmp_path):
    (tmp_path / "a.yaml").write_bytes(prefix + ends.join([b"name: mine", b"regions: &r {k: 3}", b""]))
    assert read_yaml(tmp_path / "a.yaml") == {"name": "mine", "regions": {"k": 3}}


def test_aliases_that_stand_for_little_are_read():
    assert parse_yaml("a: &a {x: 1}\nb: *a\nc: [*a, *a]")["c"] == [{"x": 1}, {"x": 1}]
    assert len(parse_yaml("[" + "1," * (MOST_NODES - 2) + "1]")) == MOST_NODES - 1


def special(folder):
    """Paths that are no regular files."""
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    (folder / "gone.yaml").symlink_to(folder / "nothing.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    with (folder / "sparse.yaml").open("wb") as file:
        file.truncate(20 << 30)
    (folder / "bytes.yaml").write_bytes(bytes(range(256)))
    return {name: folder / f"{name}.yaml" for name in ("pipe", "folder", "loop", "gone", "zero", "sparse", "bytes")}


@pytest.mark.parametrize("name", ["pipe", "folder", "loop", "gone", "zero", "sparse", "bytes"])
def test_what_is_no_config_file_is_refused_at_once(name, tmp_path):
    with pytest.raises(ValueError, match="no config file at|is not valid YAML") as error:
        load_profile(special(tmp_path)[name])
    one_sentence(shortened(str(error.value)))


def test_a_base_is_no_way_around(tmp_path):
    for name, path in special(tmp_path).items():
        (tmp_path / "top.yaml").write_text(f"base: {path}\n")
        with pytest.raises(ValueError, match="no config file at|is not valid YAML"):
            load_profile(tmp_path / "top.yaml"), name


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a\\b", "x" * 65, "a b", "a\nb", "~", "a\0b", "/etc/x"])
def test_names_of_protocols_are_names(name):
    table = config.as_dict(protocols.load("masks")) | {"name": name}
    with pytest.raises(ValueError, match="the name of a protocol is") as error:
        config.build(Protocol, table)
    one_sentence(str(error.value))


@pytest.mark.parametrize("name", ["mine", "mobile_clip", "a.b", "x" * 64, "Gesichter-2", "顔"])
def test_other_names_are_taken(name):
    assert load_profile(TOY, [f"name={name}"]).name == name


@pytest.mark.parametrize("profile", ["mobile", "ffhq", "mobile_clip", "toy"])
def test_configs_that_ship_are_within_their_bounds(profile):
    built = load_profile(f"configs/{profile}.yaml")
    assert config.build(Profile, config.as_dict(built)) == built


# What errors quote


NESTED = [[[["x" * 1000] * 1000] * 1000] * 1000]  # a thousand million strings, were it written out


@pytest.mark.parametrize(
    "value", ["x" * 10**6, NESTED, {i: NESTED for i in range(9)}, 10**4000, -(10**400), b"x" * 10**6, 1e300, None]
)
def test_what_is_quoted_is_cut(value):
    assert len(quoted(value)) <= 2 * QUOTED + 3 and "\n" not in quoted(value)


def test_numbers_too_long_to_be_written_are_quoted_by_their_size():
    assert (
        quoted(1 << 40_000) == "about 10^12041" and quoted(-(10**50)) == "about -10^50" and quoted(10**9) == str(10**9)
    )


@pytest.mark.parametrize("length", [1, 299, 300, 301, 1000, 10**6])
def test_a_sentence_is_one_short_line_with_both_ends(length):
    rng = random.Random(length)
    text = "begin " + "".join(rng.choice("ab \n\t") for _ in range(length)) + " end"
    line = shortened(text)
    assert len(line) <= MOST and "\n" not in line and line.startswith("begin") and line.endswith("end")
    assert (" ... " in line) == (len(" ".join(text.split())) > MOST)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_is_a_dash(value):
    assert (
        figure(value, ".3f") == "–" and figure(value, ".0%", " of all") == "–" and figure(0.5, ".1f", " dB") == "0.5 dB"
    )

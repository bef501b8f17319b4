"""Config and registry: differences-only YAML becomes checked dataclasses, and every mistake is one clear ValueError."""

from __future__ import annotations

import random
import string
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Literal

import pytest
import yaml

from where2edit.core import config
from where2edit.core.registry import Registry, nearest
from where2edit.files.fingerprints import config_digest


@dataclass(frozen=True)
class Optimiser:
    lr: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    kind: Literal["adam", "sgd"] = "adam"


@dataclass(frozen=True)
class Training:
    steps: int
    optimiser: Optimiser = Optimiser()
    losses: dict[str, float] = field(default_factory=dict)
    resume: bool = False
    prompts: tuple[str, ...] = ()
    weights: str | None = None


@dataclass(frozen=True)
class Profile:
    training: Training
    seed: int = 0
    note: str = ""


@dataclass(frozen=True)
class Several:
    strength: float | Literal["auto"] | None = None


def test_a_value_may_be_of_one_of_several_types():
    assert [config.build(Several, {"strength": value}).strength for value in (1, "auto", None)] == [1.0, "auto", None]
    with pytest.raises(ValueError, match="strength must be float, got str 'auot', or .* did you mean 'auto'"):
        config.build(Several, {"strength": "auot"})


GOOD = {"training": {"steps": 10}}


def write(folder, name, tree):
    path = folder / name
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return path


def refused(match, tree=None, path=None, overrides=()):
    with pytest.raises(ValueError, match=match) as error:
        if path is None:
            config.build(Profile, config.override(tree, overrides))
        else:
            config.load(Profile, path, overrides)
    message = str(error.value)
    assert message and "\n" not in message
    return message


# What a file says


def test_a_file_holds_only_differences(tmp_path):
    training = {"steps": 10, "optimiser": {"lr": 0.5}, "losses": {"clip": 1}}
    write(tmp_path, "base.yaml", {"training": training, "note": "b"})
    write(tmp_path, "middle.yaml", {"base": "base.yaml", "training": {"optimiser": {"kind": "sgd"}}})
    path = write(tmp_path, "top.yaml", {"base": "middle.yaml", "training": {"losses": {"map": 2}}, "seed": 3})
    built = config.load(Profile, path)
    expected = Training(10, Optimiser(0.5, kind="sgd"), {"clip": 1.0, "map": 2.0})
    assert built == Profile(expected, seed=3, note="b")
    assert isinstance(built.training.losses["clip"], float)


def test_base_is_relative_to_the_file_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "ablations").mkdir()
    write(tmp_path, "base.yaml", GOOD)
    path = write(tmp_path / "ablations", "one.yaml", {"base": "../base.yaml", "seed": 1})
    monkeypatch.chdir(tmp_path / "ablations")
    assert config.load(Profile, path).training.steps == 10


def test_overrides_win_and_are_yaml(tmp_path):
    path = write(tmp_path, "a.yaml", GOOD)
    changes = ["training.steps=20", "training.optimiser.betas=[0, 0.5]", "training.losses.clip=0.1"]
    built = config.load(Profile, path, [*changes, "training.weights=null"])
    assert built.training.steps == 20 and built.training.optimiser.betas == (0.0, 0.5)
    assert built.training.losses == {"clip": 0.1} and built.training.weights is None
    assert config.load(Profile, path, ["note=a=b"]).note == "a=b"


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", "0.001", ".1e-2", "+1e-03"])
def test_every_spelling_of_a_number_is_a_number(text):
    assert config.override({}, [f"lr={text}"]) == {"lr": 0.001}
    assert config.override({}, ["name=1e-3x"]) == {"name": "1e-3x"}


def test_lists_are_replaced_whole():
    assert config.merge({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": {"d": 2}}) == {"a": [3], "b": {"c": 1, "d": 2}}


def test_another_choice_does_not_inherit_the_options_of_the_old_one():
    base = {"mapper": {"name": "w", "options": {"components": 8}}, "name": "a"}
    assert config.merge(base, {"mapper": {"name": "s"}})["mapper"] == {"name": "s"}
    assert config.merge(base, {"mapper": {"name": "w"}})["mapper"] == base["mapper"]
    own = {"name": "s", "options": {"depth": 2}}
    assert config.merge(base, {"mapper": own})["mapper"] == own
    assert config.override(base, ["mapper.name=s", "mapper.options.depth=3"])["mapper"]["options"] == {"depth": 3}


def test_merge_leaves_its_arguments_alone():
    base, changes = {"a": {"b": 1}}, {"a": {"c": 2}}
    config.merge(base, changes)
    assert base == {"a": {"b": 1}} and changes == {"a": {"c": 2}}


def test_built_configs_are_frozen_and_round_trip():
    built = config.build(Profile, GOOD)
    with pytest.raises(FrozenInstanceError):
        built.seed = 1
    again = config.build(Profile, yaml.safe_load(yaml.safe_dump(config.as_dict(built))))
    assert again == built and config_digest(again) == config_digest(built)


@dataclass(frozen=True)
class Grown:
    """A section with fields that configs of earlier versions do not have."""

    steps: int = 3
    mode: str = field(default="many", metadata=config.YOUNGER)
    options: dict = field(default_factory=dict, metadata=config.YOUNGER)


def test_a_younger_field_leaves_files_and_digests_of_earlier_configs_as_they_were():
    assert config.as_dict(Grown()) == {"steps": 3}
    used = Grown(mode="one", options={"a": 1})
    assert config.as_dict({"inside": (used,)}) == {"inside": [{"steps": 3, "mode": "one", "options": {"a": 1}}]}
    assert config_digest(Grown()) != config_digest(Grown(mode="one")) != config_digest(Grown(options={"a": 1}))


def test_the_digest_follows_values_not_the_order_of_keys():
    first = config.build(Profile, {"training": {"steps": 10}, "seed": 1})
    assert config_digest(first) == config_digest(config.build(Profile, {"seed": 1, "training": {"steps": 10}}))
    assert config_digest(first) != config_digest(config.build(Profile, {"seed": 2, "training": {"steps": 10}}))


# Mistakes in values


@pytest.mark.parametrize(
    "tree, match",
    [
        ({"training": {"steps": 10, "optimizer": {}}}, "unknown key 'training.optimizer'; did you mean 'optimiser'"),
        ({"trainin": {"steps": 10}}, "unknown key 'trainin'; did you mean 'training'"),
        ({"training": {"steps": 10}, 5: 1}, "unknown key '5'"),
        ({"training": {"steps": "ten"}}, "training.steps must be int, got str 'ten'"),
        ({"training": {"steps": True}}, "training.steps must be int, got bool True"),
        ({"training": {"steps": 10.0}}, "training.steps must be int, got float"),
        ({"training": {"steps": None}}, "training.steps must be int, got NoneType"),
        ({"training": {"steps": 1, "resume": 1}}, "training.resume must be bool"),
        ({"training": {"steps": 1, "resume": "no"}}, "training.resume must be bool"),
        ({"training": {"steps": 1, "optimiser": {"lr": "1e-3"}}}, "training.optimiser.lr must be float, got str"),
        ({"training": {"steps": 1, "optimiser": {"lr": True}}}, "training.optimiser.lr must be float"),
        ({"training": {"steps": 1, "optimiser": {"lr": float("nan")}}}, "lr is nan; give a finite number"),
        ({"training": {"steps": 1, "optimiser": {"lr": float("-inf")}}}, "lr is -inf; give a finite number"),
        ({"training": {"steps": 1, "losses": {"clip": float("nan")}}}, "training.losses.clip is nan"),
        ({"training": {"steps": 1, "losses": {"clip": 10**400}}}, "give a finite number"),
        ({"training": {"steps": 1, "optimiser": {"betas": [0.9]}}}, "betas must have 2 values, got 1"),
        ({"training": {"steps": 1, "optimiser": {"betas": 0.9}}}, "betas must be a list"),
        ({"training": {"steps": 1, "optimiser": {"kind": "adm"}}}, "kind is 'adm'; did you mean 'adam'"),
        ({"training": {"steps": 1, "optimiser": {"kind": ["adam"]}}}, "kind is"),
        ({"training": {"steps": 1, "optimiser": None}}, "training.optimiser must be a mapping"),
        ({"training": {"steps": 1, "losses": [1]}}, "training.losses must be a mapping"),
        ({"training": {"steps": 1, "prompts": "one"}}, "training.prompts must be a list"),
        ({"training": {"steps": 1, "prompts": ["one", 2]}}, r"training.prompts\[1\] must be str, got int 2"),
        ({"training": {"steps": 1, "weights": 3}}, "training.weights must be str"),
        ({"training": {}}, "training lacks steps"),
        ({}, "config lacks training"),
        ([1], "config must be a mapping"),
    ],
)
def test_wrong_values(tree, match):
    refused(match, tree)


# Mistakes in files


@pytest.mark.parametrize(
    "text, match",
    [
        ("a: 1\na: 2\n", "key 'a' stands twice"),
        ("training:\n  steps: 1\n  steps: 2\n", "key 'steps' stands twice"),
        ("training: {steps: 1, steps: 1}", "key 'steps' stands twice"),
        ("[unclosed", "is not valid YAML"),
        ("a: b: c", "is not valid YAML"),
        ("\ttabs: 1", "is not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("? [a, b]\n: 1\n", "is not valid YAML|unknown key"),
        ("? {a: b}\n: 1\n", "is not valid YAML"),
        ("- 1\n- 2\n", "holds a list; a config is a mapping"),
        ("just words", "holds a str"),
        ("a: " + "[" * 5000, "is not valid YAML"),
        ("a: 2001-99-99", "is not valid YAML"),
        ("base: 3\n", "no config file at"),
        ("base: [a.yaml]\n", "no config file at|base"),
        ("training: &t {steps: *t}", "is not valid YAML|training.steps must be int"),
        ("training: {steps: 1, losses: &l {a: *l}}", "."),
    ],
)
def test_wrong_files(tmp_path, text, match):
    refused(match, path=write(tmp_path, "a.yaml", text))


def test_bytes_that_are_not_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00bad")
    refused("is not valid YAML", path=tmp_path / "a.yaml")


def test_missing_file_names_the_nearest(tmp_path):
    write(tmp_path, "mobile.yaml", GOOD)
    refused("did you mean 'mobile.yaml'", path=tmp_path / "mobil.yaml")
    refused("no config file at", path=tmp_path / "nowhere" / "mobile.yaml")
    refused("no config file at", path=tmp_path)


def test_a_cycle_of_bases(tmp_path):
    write(tmp_path, "a.yaml", {"base": "b.yaml"})
    write(tmp_path, "b.yaml", {"base": "a.yaml"})
    refused("names itself as its base through", path=tmp_path / "a.yaml")
    refused("names itself", path=write(tmp_path, "c.yaml", {"base": "c.yaml"}))


@pytest.mark.parametrize(
    "change, match",
    [
        ("training.steps", "is not key=value"),
        ("=3", "is not key=value"),
        ("training.steps=[", "is not a YAML value"),
        ("training.stps=3", "did you mean 'steps'"),
        ("training..steps=3", "unknown key 'training.'"),
        ("training.steps.deep=3", "training.steps must be int, got dict"),
        ("training=3", "training must be a mapping"),
        ("training.steps=.nan", "training.steps must be int"),
        ("training.optimiser.lr=.inf", "give a finite number"),
        ("seed={a: 1, a: 2}", "stands twice"),
    ],
)
def test_wrong_overrides(change, match):
    refused(match, GOOD, overrides=[change])


# Anything at all


def _tree(rng: random.Random, depth: int = 0):
    """A random YAML-like value, biased towards the keys that the config knows."""
    known = ["training", "seed", "note", "steps", "optimiser", "losses", "resume", "prompts", "weights", "lr", "betas"]
    leaves = [None, True, 0, -1, 10**400, 1.5, float("nan"), float("inf"), "", "adam", "x" * 50, b"bytes", (), "\n"]
    kind = rng.random()
    if depth > 4 or kind < 0.35:
        return rng.choice(leaves)
    if kind < 0.5:
        return [_tree(rng, depth + 1) for _ in range(rng.randrange(4))]
    keys = [rng.choice(known) if rng.random() < 0.8 else rng.choice([None, 3, "kind", ("a",)]) for _ in range(3)]
    return {key: _tree(rng, depth + 1) for key in keys}


@pytest.mark.parametrize("seed", range(4))
def test_any_tree_is_built_or_refused_in_one_sentence(seed):
    rng, built = random.Random(seed), 0
    for _ in range(1000):
        tree = _tree(rng)
        if rng.random() < 0.5:
            tree = config.merge(GOOD, {rng.choice(["seed", "note", "training"]): tree})
        try:
            assert isinstance(config.build(Profile, tree), Profile)
            built += 1
        except ValueError as error:
            assert str(error) and len(str(error).splitlines()) == 1, repr(str(error))
    assert built > 0, "the fuzz must also reach trees that are right"


@pytest.mark.parametrize("seed", range(4))
def test_any_text_is_read_or_refused_in_one_sentence(tmp_path, seed):
    rng = random.Random(seed)
    pieces = ["base: ", "training:", "\n", "  ", "- ", "{", "}", "[", "]", "steps: 1", "&a ", "*a", "!!", "? ", "<<: "]
    for number in range(300):
        letters = [rng.choice(pieces if rng.random() < 0.9 else string.printable) for _ in range(rng.randrange(12))]
        text = "".join(letters)
        try:
            config.load(Profile, write(tmp_path, f"{number}.yaml", text))
        except ValueError as error:
            assert str(error) and len(str(error).splitlines()) == 1, repr(str(error))


@pytest.mark.parametrize("seed", range(2))
def test_any_override_is_taken_or_refused_in_one_sentence(seed):
    rng = random.Random(seed)
    pieces = ["training", "steps", "seed", ".", "=", "1", "[", "]", "{", "}", ":", " ", "&a", "*a", "!!x", "'", "\n"]
    for _ in range(500):
        change = "".join(rng.choice(pieces) for _ in range(rng.randrange(8)))
        try:
            config.build(Profile, config.override(GOOD, [change]))
        except ValueError as error:
            assert str(error) and len(str(error).splitlines()) == 1, repr(str(error))


# The registry


def test_nearest_lists_the_known_and_suggests_one():
    assert nearest("moble", ["toy", "mobile"]) == "did you mean 'mobile'? Known: mobile, toy"
    assert nearest("zzz", ["a"]) == "Known: a"
    assert nearest("a", []) == "Known: none"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package `things` whose module registers `one`; returns its registry."""
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "__init__.py").write_text(
        "from where2edit.core.registry import Registry\nTHINGS = Registry('thing', 'things')\n"
    )
    (tmp_path / "things" / "one.py").write_text(
        "from things import THINGS\n\n@THINGS.register('one')\ndef one():\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import things

    yield things.THINGS
    for name in ("things", "things.one"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)


def test_a_file_in_the_package_is_found_by_itself(package):
    assert package.names() == ["one"] and package.get("one")() == 1


def test_unknown_and_double_names(package):
    with pytest.raises(ValueError, match="unknown thing 'onne'; did you mean 'one'"):
        package.get("onne")
    with pytest.raises(ValueError, match="thing 'one' is registered twice"):
        package.register("one")(lambda: 2)


def test_an_empty_registry_says_so():
    registry = Registry("loss", "json")
    registry._complete = True
    with pytest.raises(ValueError, match="unknown loss 'clip'; Known: none"):
        registry.get("clip")

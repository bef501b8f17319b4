"""Old names -> today's names, of trained tensors and of config keys in older config files, recipes and metadata.

Shipped weights and recipes are never rewritten; the code that reads them translates their names here. Today's names
pass through unchanged, so that both functions may be applied to any file.
"""

from __future__ import annotations

import re

PARAMETERS = (  # patterns of a trained tensor's old name, and its name today
    (r"mapper\.axes", "mapper.semantic_directions"),
    (r"mapper\.dye_words", "mapper.colours.colour_embeddings"),
    (r"mapper\.dyes", "mapper.colours.colour_shifts"),
    (r"mapper\.bleach", "mapper.colours.shrinkage"),
    (r"mapper\.own\.(.+)", r"mapper.per_site.\1"),
)
SECTIONS = {"preview": "preview_head"}
PREVIEW_FIT = ("canvases", "steps", "batch", "crop", "lr", "seed")  # keys that stood in the preview head's section
TRAINING = {"preview": "use_preview_head"}
MAPPER = {"own": "per_site_weight", "aim": "direction_faces", "reach": "direction_length", "dyes": "colours"}
ATTENTION = {"frozen": "starts_at"}
# Keys that once stood in the section itself although only the choices named here read them; they are options now, and
# with another choice they are dropped.
GENERATOR_OPTIONS: dict[str, tuple[str, ...]] = {"stylegan2": ("resolution", "channel_multiplier", "seed")}
TEXT_IMAGE_OPTIONS: dict[str, tuple[str, ...]] = {"clip": ("model", "pixels"), "toy": ("seed",)}
MAPPER_OPTIONS: dict[str, tuple[str, ...]] = {
    "w_principal": ("components", "hidden", "per_site_weight", "direction_faces", "direction_length", "colours")
    + ("samples", "seed")
}
ATTENTION_OPTIONS: dict[str, tuple[str, ...]] = {
    "modulated": ("inputs", "channels", "bias", "noise", "starts_at", "styled")
}
# The default choice of each section, for trees that do not name one.
GENERATOR, TEXT_IMAGE, SPACE = "mobilestylegan", "facetext", "stylespace"


def current_name(parameter: str) -> str:
    """Today's name of a trained tensor."""
    for old, new in PARAMETERS:
        if re.fullmatch(old, parameter):
            return re.sub(old, new, parameter)
    return parameter


def current_config(tree: dict, base: dict | None = None) -> dict:
    """Today's keys of a profile's tree, whole or in part; the tree itself is left as it is.

    `base` is the tree that a part is laid over, with today's keys: what it chooses tells whose options a part holds.
    """
    tree, base = _with_preview_fit(_renamed(tree, SECTIONS)), base or {}
    sections = {
        "generator": lambda section: _with_options(section, GENERATOR_OPTIONS, _choice(base, "generator") or GENERATOR),
        "text_image": lambda section: _with_options(
            section, TEXT_IMAGE_OPTIONS, _choice(base, "text_image") or TEXT_IMAGE
        ),
        "regions": lambda section: {key: value for key, value in section.items() if key != "site"},
        "natural_strength": lambda section: {key: value for key, value in section.items() if key != "most"},
        "training": lambda section: _renamed(section, TRAINING),
        "method": lambda section: _method(section, _section(base, "method")),
    }
    return tree | {name: change(tree[name]) for name, change in sections.items() if isinstance(tree.get(name), dict)}


def _with_preview_fit(tree: dict) -> dict:
    """Move the recipe of a preview head out of the head's own section."""
    head = tree.get("preview_head")
    fit = tree.get("preview_fit", {})
    if not isinstance(head, dict) or not isinstance(fit, dict):
        return tree
    recipe = {key: value for key, value in head.items() if key in PREVIEW_FIT}
    kept = {key: value for key, value in head.items() if key not in PREVIEW_FIT}
    return tree | {"preview_head": kept} | ({"preview_fit": recipe | fit} if recipe else {})


def _section(tree: dict, name: str) -> dict:
    """A section of a tree; empty where there is none."""
    return tree[name] if isinstance(tree.get(name), dict) else {}


def _choice(tree: dict, name: str) -> str:
    """What a section of a tree chooses; "" where it does not say."""
    return str(_section(tree, name).get("name", ""))


def _method(section: dict, base: dict) -> dict:
    changed = {}
    if isinstance(section.get("mapper"), dict):
        mapper = _renamed(section["mapper"], MAPPER | {"space": "name"})
        changed["mapper"] = _with_options(mapper, MAPPER_OPTIONS, _choice(base, "mapper") or SPACE)
    if isinstance(section.get("attention"), dict):
        attention = _renamed(section["attention"], ATTENTION)
        changed["attention"] = _with_options(attention, ATTENTION_OPTIONS, _choice(base, "attention") or "modulated")
    return section | changed


def _renamed(tree: dict, names: dict[str, str]) -> dict:
    return {names.get(key, key): value for key, value in tree.items()}


def _with_options(section: dict, options: dict[str, tuple[str, ...]], default: str) -> dict:
    """Move the keys that are options of the section's choice into `options`, and drop those of its other choices."""
    chosen = options.get(str(section.get("name", default)), ())
    moved = {key: value for key, value in section.items() if key in chosen}
    known = {key for keys in options.values() for key in keys}
    rest = {key: value for key, value in section.items() if key not in known}
    given = rest.get("options", {})
    return rest | {"options": moved | given} if moved and isinstance(given, dict) else rest

"""Writes facetext's report: a page for people, a JSON line per figure, and the retrieval sheet."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from where2edit.facetext import measures as measure
from where2edit.facetext import phrases
from where2edit.facetext.packed import Faces
from where2edit.files import pictures
from where2edit.text_image.base import TextImage

NAMED = ("Eyeglasses", "Smiling", "Male", "Blond_Hair", "Wearing_Hat", "Wearing_Lipstick")
RETRIEVED = ("blond hair", "black hair", "grey hair", "a big smile", "eyeglasses", "a hat", "a beard", "lipstick",
             "an old man", "bangs")  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """A figure, and the value that it must reach, or stay under."""

    claim: str
    value: float
    asked: float
    under: bool = False

    @property
    def met(self) -> bool:
        return self.value < self.asked if self.under else self.value >= self.asked


def everything(encoder: TextImage, photos: Tensor, values: Tensor, faces: Faces) -> dict:
    """Every figure of the report; photos uint8 [N,3,s,s] and faces are validation material."""
    evaluation = measure.Evaluation.of(encoder, photos, values)
    words = F.normalize(encoder.text(["blonde hair", "golden hair", "black hair"]), dim=1)
    return {
        "attributes": evaluation.attributes(),
        "hair": measure.recoloured_hair(encoder, faces),
        "altered": measure.altered(encoder, faces),
        "words": {"blonde-golden": float(words[0] @ words[1]), "blonde-black": float(words[0] @ words[2]),
                  "golden-black": float(words[1] @ words[2])},
        "opposites": evaluation.opposites(),
        "groups": evaluation.within_groups(),
        "correlations": evaluation.correlations(),
        "attack": measure.pixel_attack(evaluation, photos),
        "speed": speed(encoder),
    }  # fmt: skip


def speed(encoder: TextImage, batch: int = 8, repeats: int = 20, threads: int = 2) -> dict[str, float]:
    """Seconds of one image forward and backward at the encoder's own size, on so many threads.

    The fastest of the repeats: whatever else the machine does only ever adds to it.
    """
    images, before = torch.rand(batch, 3, 112, 112) * 2 - 1, torch.get_num_threads()
    taken = []
    torch.set_num_threads(threads)
    for _ in range(repeats):
        begin = time.perf_counter()
        encoder.image(images.clone().requires_grad_(True)).sum().backward()
        taken.append(time.perf_counter() - begin)
    torch.set_num_threads(before)
    return {"seconds": min(taken), "threads": threads}


def _mean(table: dict[str, dict], column: str) -> float:
    values = [row[column] for row in table.values() if row[column] == row[column]]
    return sum(values) / len(values)


def verdicts(figures: dict, facts: dict) -> list[Verdict]:
    """Everything that has a threshold."""
    table, groups = figures["attributes"], figures["groups"]
    claims = [
        ("mean AUC, trained phrases", _mean(table, "trained"), 0.88),
        ("mean AUC, held-out paraphrases", _mean(table, "held_out"), 0.84),
        ("mean AUC, fresh paraphrases", _mean(table, "fresh"), 0.84),
        ("lowest attribute, trained phrases", min(row["trained"] for row in table.values()), 0.60),
        ("lowest attribute, held-out paraphrases", min(row["held_out"] for row in table.values()), 0.60),
    ]
    claims += [(f"{name}, held-out paraphrases", table[name]["held_out"], 0.95) for name in NAMED]
    claims += [(f"recoloured {name}, {kind}", row[kind], 0.95) for name, row in figures["hair"].items() for kind in row]
    claims.append(("a beard / no beard", figures["opposites"]["a beard / no beard"], 0.90))
    claims += [(f"{row['attribute']} among {row['group']}", row["auc"], 0.85) for row in groups]
    words = figures["words"]
    nearer = words["blonde-golden"] - max(words["blonde-black"], words["golden-black"])
    claims.append(("blonde-golden closer than either to black, by", nearer, 0.0))
    pace = f"seconds, 8 images forward and backward on {figures['speed']['threads']} cores"
    limits = [(pace, figures["speed"]["seconds"], 0.5), ("seconds, loading", facts["loading"], 3.0)]
    return [Verdict(*claim) for claim in claims] + [Verdict(*limit, under=True) for limit in limits]


def page(figures: dict, facts: dict) -> str:
    """The report in Markdown."""
    intro = (
        f"Written by `{facts['command']}`. Every figure is facetext's, on CelebA's validation tenth"
        f" ({facts['photos']} photos) and {facts['faces']} generated faces of MobileStyleGAN kept out of training;"
        f" none is CLIP's. Weights sha256 {facts['weights'][:12]}, config {facts['config']}, seed {facts['seed']}."
    )
    pace = figures["speed"]
    speed_line = (
        f"Forward and backward at batch 8: {pace['seconds']:.2f} s on {pace['threads']} threads, the fastest of 20;"
        f" loading, MiniLM included: {facts['loading']:.1f} s."
    )
    parts = [
        "# facetext: report", intro, "## What was asked for", _claims(figures, facts),
        "## Attributes", ATTRIBUTES,
        _attributes(figures["attributes"]),
        "## Negations", "AUC of the difference between a prompt and its denial.", _two("prompts", figures["opposites"]),
        "## Altered generated faces", "AUC, altered against as they were.", _two("prompt", figures["altered"]),
        "## Inside one sex or age", _groups(figures["groups"]),
        "## Correlation that is left", CORRELATION, _correlations(figures["correlations"]),
        "## Optimising pixels for a smile", ATTACK, _attack(figures["attack"]),
        "## Words", "Cosines.", _two("pair", figures["words"]), "## Speed", speed_line,
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


ATTRIBUTES = (
    "AUC of single plain phrases, averaged over the phrases. The training phrases were extended once after a look at"
    " which held-out ones failed; the `fresh` ones were written after that and chose no phrase. `denied` scores"
    " held-out denials against the opposite."
)
CORRELATION = (
    "Correlation of a prompt's score with sex and age among photos that agree on the attribute, and the cosine of the"
    ' prompt with "a man" minus "a woman" and with "young" minus "old".'
)
ATTACK = (
    'Gain of the cosine with "a smile" over what a real smile is worth (1 = smiling minus unsmiling photos), for signed'
    " gradient steps within so many levels of 255: as the optimiser sees it, and in new views of the same pictures"
    " (rotated, shifted, low-passed)."
)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _claims(figures: dict, facts: dict) -> str:
    rows = [
        [v.claim, f"{v.value:.3f}", f"{'< ' if v.under else ''}{v.asked:.2f}", "met" if v.met else "**missed**"]
        for v in verdicts(figures, facts)
    ]
    return _table(["claim", "value", "asked", ""], rows)


def _attributes(table: dict[str, dict]) -> str:
    columns = ("trained", "held_out", "fresh", "denied")
    rows = [[name, str(row["positives"]), *(_number(row[c]) for c in columns)] for name, row in table.items()]
    return _table(["attribute", "positives", "trained", "held-out", "fresh", "denied"], rows)


def _groups(found: list[dict]) -> str:
    rows = [[r["attribute"], r["group"], str(r["n"]), str(r["m"]), _number(r["auc"])] for r in found]
    return _table(["attribute", "group", "with", "without", "AUC"], rows)


def _correlations(table: dict[str, dict]) -> str:
    columns = ("corr_male", "corr_young", "cos_male", "cos_young")
    rows = [[prompt, *(_number(row[c]) for c in columns)] for prompt, row in table.items()]
    return _table(["prompt", "corr Male", "corr Young", "cos man", "cos young"], rows)


def _attack(found: list[dict]) -> str:
    rows = [[str(r["levels"]), _number(r["plain"]), _number(r["views"])] for r in found]
    return _table(["levels", "as optimised", "new views"], rows)


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _two(head: str, table: dict[str, float]) -> str:
    return _table([head, "value"], [[key, _number(value)] for key, value in table.items()])


def json_lines(figures: dict, facts: dict) -> str:
    """One JSON line per claimed figure, with what is needed to obtain it again."""
    common = {key: facts[key] for key in ("seed", "config", "weights", "commit")}
    rows = [{"figure": f"facetext: {v.claim}", "value": v.value, "asked": v.asked, "met": v.met, "n": facts["photos"],
             **common} for v in verdicts(figures, facts)]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows)


def retrieval(encoder: TextImage, faces: Faces, best: int = 8, prompts: tuple[str, ...] = RETRIEVED) -> Image.Image:
    """A sheet with the best faces of a set for each prompt, best first."""
    images = F.normalize(measure.embed(encoder.image, faces.images), dim=1)
    scores = images @ F.normalize(encoder.text(list(prompts)), dim=1).T
    rows = [list(faces.images[score.topk(best).indices].float() / 127.5 - 1) for score in scores.T]
    return pictures.sheet(rows, list(prompts), cell=faces.images.shape[-1])


def judge_page(table: dict[str, dict], facts: dict) -> str:
    """The judge's report in Markdown."""
    photos = [row["auc"] for row in table.values() if row["on"] == "photos"]
    asked = {name for name, _ in phrases.EDITOR_PROMPTS.values()}
    editor = [row["auc"] for name, row in table.items() if name in asked]
    intro = (
        f"Written by `{facts['command']}`. Mean AUC over the 40 "
        f"attributes {sum(photos) / len(photos):.3f} on {facts['photos']}"
        f" validation photos; over the {len(editor)} concepts that "
        f"the editor's prompts name {sum(editor) / len(editor):.3f},"
        f" lowest {min(editor):.3f}. Painted concepts are measured "
        f"on {facts['faces']} generated faces kept out of training,"
        f" against the same faces as they were. Weights sha256 {facts['weights'][:12]}, config {facts['config']}."
    )
    rows = [
        [name, row["on"], str(row["positives"]), _number(row["auc"]), "yes" if name in asked else ""]
        for name, row in table.items()
    ]
    return f"# The judge: report\n\n{intro}\n\n{_table(['concept', 'on', 'positives', 'AUC', 'editor'], rows)}\n"

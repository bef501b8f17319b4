"""The figures of facetext's report, the thresholds that they must reach, and a sheet of what is found for prompts.

Legend: N photos of s x s pixels.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from where2edit.facetext.altered_faces import altered, recoloured_hair
from where2edit.facetext.measures import embed
from where2edit.facetext.packed import Faces
from where2edit.facetext.pixel_attack import pixel_attack
from where2edit.facetext.validation_photos import ValidationPhotos
from where2edit.files import pictures
from where2edit.text_image.base import TextImage

NAMED = ("Eyeglasses", "Smiling", "Male", "Blond_Hair", "Wearing_Hat", "Wearing_Lipstick")
RETRIEVED = ("blond hair", "black hair", "grey hair", "a big smile", "eyeglasses", "a hat", "a beard", "lipstick",
             "an old man", "bangs")  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """A figure, and the value that it must reach, or (under) stay below."""

    claim: str
    value: float
    asked: float
    under: bool = False

    @property
    def met(self) -> bool:
        return self.value < self.asked if self.under else self.value >= self.asked


def everything(encoder: TextImage, photos: Tensor, values: Tensor, faces: Faces) -> dict:
    """Every figure of the report; photos uint8 [N,3,s,s] and faces are validation material."""
    validation = ValidationPhotos.of(encoder, photos, values)
    words = F.normalize(encoder.text(["blonde hair", "golden hair", "black hair"]), dim=1)
    return {
        "attributes": validation.attributes(),
        "hair": recoloured_hair(encoder, faces),
        "altered": altered(encoder, faces),
        "words": {"blonde-golden": float(words[0] @ words[1]), "blonde-black": float(words[0] @ words[2]),
                  "golden-black": float(words[1] @ words[2])},
        "opposites": validation.opposites(),
        "groups": validation.within_groups(),
        "correlations": validation.correlations(),
        "attack": pixel_attack(validation, photos),
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
    """Mean of a column, entries that are nan left out."""
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


def json_lines(figures: dict, facts: dict) -> str:
    """One JSON line per claimed figure, with what is needed to obtain it again."""
    common = {key: facts[key] for key in ("seed", "config", "weights", "commit")}
    rows = [{"figure": f"facetext: {v.claim}", "value": v.value, "asked": v.asked, "met": v.met, "n": facts["photos"],
             **common} for v in verdicts(figures, facts)]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows)


def retrieval(encoder: TextImage, faces: Faces, best: int = 8, prompts: tuple[str, ...] = RETRIEVED) -> Image.Image:
    """A sheet with the best faces of a set for each prompt, best first."""
    images = F.normalize(embed(encoder.image, faces.images), dim=1)
    scores = images @ F.normalize(encoder.text(list(prompts)), dim=1).T
    rows = [list(faces.images[score.topk(best).indices].float() / 127.5 - 1) for score in scores.T]
    return pictures.sheet(rows, list(prompts), cell=faces.images.shape[-1])

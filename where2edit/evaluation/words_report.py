"""How well words are understood: prompts that an editor should or cannot understand, and denials, as a page."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tqdm import tqdm

from where2edit.backbones.judge import Judge
from where2edit.editor.editor import Editor
from where2edit.editor.steps import Step
from where2edit.editor.understanding import UNDERSTOOD, Reading, Vocabulary
from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.natural_faces import FIRST_SEED, HAS, LACKS, NaturalFaces, log_odds
from where2edit.evaluation.spoken_prompts import DENIALS, KNOWN, UNKNOWN

SKIPPED = 1000  # natural faces that are left out: strengths of denials were chosen by looking at some of them


@dataclass(frozen=True)
class Denied:
    """One denial on n faces: the judge's probabilities [n] of what it denies, before and after the edit."""

    prompt: str
    before: torch.Tensor
    after: torch.Tensor

    @property
    def falls(self) -> float:
        """Share of the faces in which the probability falls."""
        return (self.after < self.before).double().mean().item()

    @property
    def fall(self) -> float:
        """Mean fall of the probability."""
        return (self.before - self.after).mean().item()

    @property
    def adds(self) -> float:
        """Share of the faces in which the judge finds afterwards what it did not find before."""
        return ((self.before < LACKS) & (self.after >= LACKS)).double().mean().item()


def measure_denials(editor: Editor, judge: Judge, natural: NaturalFaces, n: int) -> tuple[list[Denied], list[Denied]]:
    """Each denial on n natural faces that show what it denies, or as many as there are, and on n that do not."""
    having, lacking = [], []
    for prompt, concept in tqdm(DENIALS.items(), desc="denials"):
        asked = Asked.of(concept, judge.names)
        odds = asked.log_odds(natural.logits[SKIPPED:])
        for found, faces in ((having, odds > log_odds(HAS)), (lacking, odds < log_odds(LACKS))):
            numbers = SKIPPED + torch.nonzero(faces)[:n, 0]
            found.append(_denied(editor, judge, prompt, asked, (FIRST_SEED + numbers).tolist()))
    return having, lacking


@torch.no_grad()
def _denied(editor: Editor, judge: Judge, prompt: str, asked: Asked, seeds: list[int]) -> Denied:
    pairs = []
    for seed in seeds:
        source = editor.source(seed)
        images = torch.cat([source.image, editor.edit(source, Step(prompt)).image])
        pairs.append(asked.log_odds(judge(images)).sigmoid().cpu())
    before, after = torch.stack(pairs).T if pairs else torch.zeros(2, 0)
    return Denied(prompt, before, after)


def page(vocabulary: Vocabulary, denials: tuple[list[Denied], list[Denied]], facts: str) -> str:
    """The page as Markdown."""
    known, unknown = ([(prompt, vocabulary.read(prompt)) for prompt in each] for each in (KNOWN, UNKNOWN))
    phrases = sum(prompt in vocabulary.phrases for prompt in KNOWN)
    lines = [
        "# Words: what is understood, and denials",
        "",
        facts,
        "",
        "## Understood or not",
        "",
        f"{len(KNOWN)} prompts of what facetext was trained with ({phrases} of them are phrases of the training, word "
        f"for word) and {len(UNKNOWN)} others; a prompt is understood from a score of {UNDERSTOOD} "
        "(`where2edit/editor/understanding.py`). The threshold was set on 279 other prompts.",
        "",
        "| prompts | told right | wrong |",
        "|---|---|---|",
        _told("known", known, True),
        _told("unknown", unknown, False),
        "",
        *(line for title, each in (("Known", known), ("Unknown", unknown)) for line in _list(title, each)),
        "## Denials",
        "",
        "The judge's probability of what is denied, at natural strength; faces that show it (above 0.8) and faces that "
        "do not (below 0.5), both unedited generated faces.",
        "",
        "| denial | faces that show it | it falls in | mean fall | faces that do not | it is there afterwards in |",
        "|---|---|---|---|---|---|",
        *(_row(has, lacks) for has, lacks in zip(*denials, strict=True)),
        _mean_row(*denials),
    ]
    return "\n".join(lines) + "\n"


def _told(side: str, readings: list[tuple[str, Reading]], right: bool) -> str:
    wrong = [prompt for prompt, reading in readings if reading.understood != right]
    share = 1 - len(wrong) / len(readings)
    return f"| {len(readings)} {side} | {share:.1%} | {', '.join(f'`{prompt}`' for prompt in wrong) or 'none'} |"


def _list(title: str, readings: list[tuple[str, Reading]]) -> list[str]:
    each = (f"{prompt} ({reading.score:.2f})" for prompt, reading in readings)
    return [f"{title}, with their scores: {'; '.join(each)}.", ""]


def _row(has: Denied, lacks: Denied) -> str:
    shown = f"{len(has.before)} | {has.falls:.0%} | {has.fall:.2f}" if len(has.before) else "0 | – | –"
    return f"| {has.prompt} | {shown} | {len(lacks.before)} | {lacks.adds:.0%} |"


def _mean_row(having: list[Denied], lacking: list[Denied]) -> str:
    """The means over denials."""
    shown = [each for each in having if len(each.before)]
    falls, fall = (sum(getattr(each, name) for each in shown) / len(shown) for name in ("falls", "fall"))
    adds = sum(each.adds for each in lacking) / len(lacking)
    return f"| mean | {sum(len(each.before) for each in shown)} | {falls:.0%} | {fall:.2f} | | {adds:.1%} |"

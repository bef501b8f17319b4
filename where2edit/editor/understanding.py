"""Whether facetext knows the words of a prompt: an encoder gives every text an embedding, also one that it cannot read.

The encoder that misreads a prompt also scores the edit, so the question is put to something else: the sentence
embeddings of MiniLM, which was trained on general English and not on faces. A prompt is understood as far as it is
close to one of the phrases that facetext was trained with (its parts between "and", "with" and commas may be close to
several), less a share for words that are neither in one of the phrases nor like a word of them. Two other signs, the
spread of the prompt's cosines over unedited faces and the agreement of paraphrases, did not tell known prompts from
unknown ones (docs/understanding.md). Ours, not the paper's.

Legend: N texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from where2edit.facetext.concept import plain
from where2edit.facetext.phrases import CONCEPTS
from where2edit.files.fingerprints import network_sha256
from where2edit.files.kept import kept
from where2edit.text_image.minilm import WIDTH, MiniLM

UNDERSTOOD = 0.57  # score from which a prompt is understood; set on 279 other prompts than those of the report
LIKE = 0.45  # cosine from which a word counts as like one of the phrases'
UNKNOWN_WORDS = 0.25  # taken from the score where all words are unknown
BATCH = 64  # texts that are embedded together
KIND = "phrases"  # of what is kept of them in the cache
# Words that say nothing of a face by themselves.
LITTLE = "a an the of with is are was be being has have having had on in at to and or this that who it its his her him "
LITTLE += "their he she they you i person face photo picture someone very really quite some rather wearing wears looks "
LITTLE += "look make turn give put add change want more less much slightly into colour color please"
LITTLE_WORDS = frozenset(LITTLE.split())


@dataclass(frozen=True)
class Reading:
    """What is made of a prompt: its score, at most 1, its unknown words, and the nearest phrase that is known."""

    score: float
    unknown: tuple[str, ...]
    nearest: str

    @property
    def understood(self) -> bool:
        """Whether the score reaches UNDERSTOOD."""
        return self.score >= UNDERSTOOD


class Vocabulary:
    """The phrases that facetext was trained with, and how close a prompt is to them.

    Their sentence embeddings are kept in the cache, since making them takes some seconds.
    """

    def __init__(self, words: MiniLM):
        self.words = words
        both = (side for concept in CONCEPTS for side in (concept.phrases(True), concept.phrases(False)))
        self.phrases = sorted({plain(phrase).lower() for side in both for phrase in side})
        self.known_words = sorted({word for phrase in self.phrases for word in words_of(phrase)})

    def read(self, prompt: str) -> Reading:
        """What is made of a prompt of any length; one that is a phrase of the training needs no embedding."""
        text = " ".join(prompt.lower().split())
        if text in self.phrases:
            return Reading(1.0, (), text)
        phrases, known = self._embedded
        parts = [
            part for part in re.split(r"[,;]|\b(?:and|with|wearing)\b|\b(?:who|that) has\b", text) if words_of(part)
        ]
        cosines, nearest = (self.embed([text, *parts]) @ phrases.T).max(1)
        found = words_of(text)
        new = sorted(set(found) - set(self.known_words), key=found.index)
        like = (self.embed(new) @ known.T).amax(1).tolist() if new else []
        unknown = tuple(word for word, cosine in zip(new, like, strict=True) if cosine < LIKE)
        share = sum(word in unknown for word in found) / len(found) if found else 1.0
        close = max(cosines[0].item(), cosines[1:].mean().item() if len(parts) > 1 else 0.0)
        return Reading(close - UNKNOWN_WORDS * share, unknown, self.phrases[int(nearest[0])])

    def check(self, prompt: str) -> None:
        """Raise ValueError for a prompt that is not understood, with its unknown words and the nearest phrase."""
        reading = self.read(prompt)
        if reading.understood:
            return
        words = ", ".join(repr(word[:20]) for word in reading.unknown[:5])
        why = f"it does not know {words}" if words else "it is like nothing that it was trained with"
        raise ValueError(
            f"{prompt[:60]!r} is not understood: facetext knows English words about faces, and {why}; the nearest that "
            f"it knows is {reading.nearest!r}. Say it otherwise, or edit all the same with --force"
        )

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Tensor:
        """Sentence embeddings of texts, of unit length: [N,384]."""
        features = [self.words(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        return F.normalize(torch.cat(features)[:, -WIDTH:], dim=1)

    @cached_property
    def _embedded(self) -> tuple[Tensor, Tensor]:
        """The embeddings of the phrases and of their words, from the cache where they are there."""
        texts = {"phrases": self.phrases, "words": self.known_words}
        made_from = [self.phrases, self.known_words, network_sha256(self.words)]
        shapes = {name: (len(own), WIDTH) for name, own in texts.items()}
        tensors = kept(KIND, made_from, shapes, lambda: {name: self.embed(own) for name, own in texts.items()})
        device = self.words.words.weight.device
        return tensors["phrases"].to(device), tensors["words"].to(device)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without those that say nothing of a face."""
    return [word for word in re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text.lower()) if word not in LITTLE_WORDS]

"""TMSA: text-driven manipulation by space alignment (Bai et al. 2023), one model for every prompt.

Networks f_1 ... f_L, one for each of the generator's codes, answer the codes that belong to an embedding e of picture
or text. They are trained on pictures (training/space_alignment.py, Eq. 1-4 of the paper); since text and pictures share
a space, they answer for texts too, and an edit is the difference of two texts' codes, the same for every face:

    w*_i = mean + f_i(e),  i = 1 ... L
    Delta w = w*(human face with glasses) - w*(human face)           Section 3.3
    w_edit = w + alpha Delta w,  alpha = 1                            Section 3.4

Each e of a text is the mean over several templates with the same meaning.

Chosen here, where the paper is silent: the networks have two layers with leaky ReLU, and answer what is added to the
generator's mean w (a bias of the last layer would cancel in Delta w, and there is none); embeddings have the length
sqrt(D); "with" stands between "human face" and a thing, but not before a quality ("old") or a person ("a man"). The
neutral text stands for the average face, so that embeddings of texts are moved by what lies between it and the mean
embedding of pictures (`centred`): encoders keep texts and pictures apart.

Legend: N prompts, B edits, D embedding width, L w codes of W numbers, C numbers of a style.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.core.bounds import Few, Pixels
from where2edit.core.records import Condition, Source
from where2edit.editing.latent_mapper import lengths, shifted_styles
from where2edit.editing.prompt_parts import PERSON
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.methods.whole_picture import WholePicture
from where2edit.text_image.base import TextImage

# A prompt that is nothing but a quality of the person.
QUALITY = re.compile(
    r"(?:very )?(?:young|old|elderly|aged|happy|sad|angry|serious|surprised|smiling|laughing|grinning|bald|chubby|pale|"
    r"tanned|attractive|beautiful|bearded|blond|blonde)"
)
FACE = re.compile(r"\b(?:person|people|someone|face|portrait|child|kid)\b")
ALIKE = 1e-3  # how far an embedding may be from its prompt's and still be it


@dataclass(frozen=True)
class TmsaOptions:
    """Options of the method `tmsa`."""

    layers: Few = 2  # fully-connected layers of each network
    hidden: Pixels = 512  # numbers between them
    neutral: str = "human face"  # the text without an attribute
    # Sentences of the same meaning, in which {} is the neutral text or the one with the attribute.
    templates: tuple[str, ...] = ("{}", "a photo of a {}", "a close-up photo of a {}", "a good photo of the {}")
    centred: bool = True  # False: embeddings of texts as they are, as in the paper


def described(prompt: str, neutral: str) -> str:
    """The neutral text with what the prompt says: "human face with glasses", "old human face"; persons stay alone."""
    text = " ".join(prompt.split()).removeprefix("with ")
    if PERSON.names(text.lower()) or FACE.search(text.lower()):
        return text
    return f"{text} {neutral}" if QUALITY.fullmatch(text.lower()) else f"{neutral} with {text}"


@METHODS.register("tmsa", options=TmsaOptions)
class Tmsa(WholePicture):
    """One direction for each prompt, from text alone; `precompute` gives it the encoder that texts are read by."""

    learns_codes = True

    def __init__(self, frozen: Frozen, config: MethodConfig):
        super().__init__(frozen)
        self.options = options = config.resolved()
        widths = [frozen.text_dim, *[options.hidden] * (options.layers - 1), frozen.generator.w_dim]
        self.networks = nn.ModuleList(_network(widths) for _ in range(frozen.generator.num_w))
        # The mean embedding of pictures, at the length sqrt(D); measured by the training and not learnt.
        self.centre = nn.Parameter(torch.zeros(frozen.text_dim), requires_grad=False)
        self._kept: dict[str, Tensor] = {}

    def precompute(self, encoder: TextImage) -> None:
        """Get the encoder that reads the templates."""
        object.__setattr__(self, "_encoder", encoder)  # frozen and shared: no submodule of what is trained

    def codes(self, e: Tensor) -> Tensor:
        """Embeddings [N,D] at the length sqrt(D) -> the codes w* that belong to them, [N,L,W]."""
        return self.frozen.generator.w_mean + torch.stack([network(e) for network in self.networks], dim=1)

    def shift(self, prompts: tuple[str, ...]) -> Tensor:
        """Prompts -> Delta w [N,L,W]."""
        neutral = self._embedded(self.options.neutral)
        moved = self.centre - neutral if self.options.centred else torch.zeros_like(neutral)
        texts = [self._embedded(described(prompt, self.options.neutral)) for prompt in prompts]
        return self.codes(torch.stack(texts) + moved) - self.codes((neutral + moved)[None])

    @torch.no_grad()
    def _embedded(self, text: str) -> Tensor:
        """The mean embedding [D] of a text in all templates, at the length sqrt(D)."""
        if text not in self._kept:
            sentences = [template.replace("{}", text) for template in self.options.templates]
            mean = F.normalize(self._encoder.text(sentences, truncate=True).float(), dim=1).mean(0)
            self._kept[text] = at_length(mean[None])[0].to(self.centre)
        return self._kept[text]

    def check(self, condition: Condition) -> None:
        """Raise ValueError for a second prompt and for a reference picture, which the shift cannot use."""
        if not torch.equal(condition.h, condition.h_attention):
            raise ValueError("tmsa edits by the difference of two texts; leave out --where and --reference")

    def styles(self, source: Source, condition: Condition) -> tuple[dict[str, Tensor], Tensor]:
        """The styles {site: [B,C]} of w + alpha Delta w, and the length [B,L] of what is added to each code."""
        each = list(dict.fromkeys(condition.prompts))
        shifts = self.shift(tuple(each))[[each.index(prompt) for prompt in condition.prompts]]  # [B,L,W]
        delta = {code: condition.strength * shifts[:, code] for code in range(shifts.shape[1])}
        return shifted_styles(self.frozen.generator, source, delta, self.frozen.generator.sites), lengths(delta)


def at_length(e: Tensor) -> Tensor:
    """Embeddings [N,D] at the length sqrt(D), at which their numbers have a mean square of 1."""
    return F.normalize(e.float(), dim=1) * math.sqrt(e.shape[1])


def _network(widths: list[int]) -> nn.Sequential:
    """Fully-connected layers of these widths, leaky ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-2], widths[1:-1], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=False))

"""all-MiniLM-L6-v2, a six-layer BERT of width 384 (Wang et al. 2020, arXiv 2002.10957), from its own safetensors.

The last layer of a sentence encoder puts "a hat" close to "no hat". So that a head can tell them apart, `MiniLM` gives
the mean over the tokens after each of several layers, among them an early one in which single words still differ.

Legend: N prompts.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.preprocess import load_strictly
from where2edit.files import assets, tensorfile

WIDTH, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS = 384, 6, 12, 1536, 30522, 512
MAX_TOKENS = 128  # what the sentence encoder was trained with, start and end token included; longer prompts are cut
EPSILON = 1e-12


class Layer(nn.Module):
    """One BERT layer, normalised after each residual."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.attention_out = nn.Linear(WIDTH, WIDTH)
        self.attention_norm = nn.LayerNorm(WIDTH, EPSILON)
        self.inner, self.outer = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.outer_norm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v, mask[:, None, None]).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + self.attention_out(attended))
        return self.outer_norm(x + self.outer(F.gelu(self.inner(x))))


class MiniLM(nn.Module):
    """Frozen text tower: prompts -> means over the tokens of chosen layers, each of unit length, side by side.

    `layers` counts from 0, the embeddings, to 6, whose mean is the sentence embedding of sentence-transformers.
    """

    def __init__(self, tokenizer: str | Path, layers: tuple[int, ...] = (LAYERS,)):
        super().__init__()
        from tokenizers import Tokenizer

        # Without random numbers, which for an empty network of no device would load torch's compiler.
        self.words, self.positions, self.types = (
            nn.Embedding.from_pretrained(torch.empty(count, WIDTH)) for count in (VOCABULARY, POSITIONS, 2)
        )
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.chosen = layers
        self.dim = WIDTH * len(layers)
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()
        self.eval().requires_grad_(False)

    @classmethod
    def load(
        cls, layers: tuple[int, ...] = (LAYERS,), weights: str | Path | None = None, tokenizer: str | Path | None = None
    ) -> MiniLM:
        """The published weights, from the given files or the assets `minilm-model` and `minilm-tokenizer`."""
        weights = weights or assets.fetch("minilm-model")
        with torch.device("meta"):
            net = cls(tokenizer or assets.fetch("minilm-tokenizer"), layers)
        # The pooler belongs to next-sentence prediction and the position ids are 0 ... 511: neither is used.
        unused = ("pooler.", "embeddings.position_ids")
        state = {_rename(k): v for k, v in tensorfile.read(weights)[0].items() if not k.startswith(unused)}
        load_strictly(net, state, str(weights))
        return net

    def train(self, mode: bool = True) -> MiniLM:
        """Stays in evaluation mode whatever the module around it does: the network is frozen."""
        return super().train(False)

    def tokens(self, prompt: str) -> int:
        """How many tokens the prompt has, start and end token not counted."""
        first = self.tokenizer.encode(prompt)
        return sum(sum(mask) - 2 for mask in (first.attention_mask, *(o.attention_mask for o in first.overflowing)))

    @torch.no_grad()
    def forward(self, prompts: list[str]) -> Tensor:
        """Prompts -> [N, 384 x number of chosen layers]."""
        device = self.words.weight.device
        encoded = self.tokenizer.encode_batch(prompts)
        ids = torch.tensor([e.ids for e in encoded], device=device)
        mask = torch.tensor([e.attention_mask for e in encoded], device=device).bool()
        x = self.words(ids) + self.positions.weight[: ids.shape[1]] + self.types.weight[0]
        states = [self.norm(x)]
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        weight = mask[:, :, None].to(x.dtype)
        means = [(states[i] * weight).sum(1) / weight.sum(1) for i in self.chosen]
        return torch.cat([F.normalize(mean, dim=1) for mean in means], 1)


_NAMES = (
    ("embeddings.word_embeddings", "words"), ("embeddings.position_embeddings", "positions"),
    ("embeddings.token_type_embeddings", "types"), ("embeddings.LayerNorm", "norm"), ("encoder.layer.", "layers."),
    ("attention.self.", ""), ("attention.output.dense", "attention_out"), ("attention.output.LayerNorm",
    "attention_norm"),
    ("intermediate.dense", "inner"), ("output.dense", "outer"), ("output.LayerNorm", "outer_norm"),
)  # fmt: skip


def _rename(key: str) -> str:
    """The published file's name of a tensor -> ours."""
    for theirs, ours in _NAMES:
        key = key.replace(theirs, ours)
    return key

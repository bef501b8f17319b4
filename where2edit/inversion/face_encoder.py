"""face_encoder: our inversion encoder, from a face to the w codes of a profile's generator, in one pass.

The image network of facetext, which knows faces already, is read at two scales, the finer one with its places, and a
linear layer answers principal coordinates of w (editing/principal_directions.py), one code that all sites share. Two
narrow layers answer an offset of each site in the first coordinates, which is 0 before training. Trained by
scripts/train_encoder.py for one generator (pretrained_models/face-encoder-mobile.md).

Legend: B faces, s = 64 pixels, L sites with a w code, W numbers of w, K coordinates of an offset, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from where2edit.backbones.efficientnet_lite import MIDDLE_WIDTH, WIDTH, EfficientNetLite0
from where2edit.backbones.preprocess import Normalise, load_strictly, resize
from where2edit.core.registry import NoOptions
from where2edit.core.sentences import quoted
from where2edit.editing.principal_directions import Basis
from where2edit.files import manifest, tensorfile
from where2edit.files.regular import shown
from where2edit.generators.base import LATENT, Generator
from where2edit.inversion import INVERSIONS
from where2edit.inversion.base import InversionConfig, InversionEncoder

SIZE = 64  # pixels that it reads: what is finer says little of w, and its training faces are cheap to make
ENLARGED = 128  # pixels to which they are enlarged: the image network knows faces of about this size
PLACES = 4  # a side, at which the finer scale is read
FEATURES = MIDDLE_WIDTH * PLACES**2 + WIDTH  # F
OFFSET_WIDTH = 64  # between the two layers of the offsets
OFFSET_COORDINATES = 32  # K
WEIGHTS = "pretrained_models/face-encoder-mobile.safetensors"
KIND = "face_encoder"  # of the file
ADVICE = "give a file that scripts/train_encoder.py wrote for this generator"
NEAR = 0.01  # difference of two mean faces that are the same one, at most, as a share of their length


class FaceEncoder(InversionEncoder):
    """Faces [B,3,R,R] -> w [B,L,W]; untrained, it answers the mean face."""

    name = "face_encoder"
    w_mean: Tensor
    directions: Tensor
    scales: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, codes: int):
        super().__init__()
        self.num_w = codes
        self.normalise = Normalise()
        self.net = EfficientNetLite0(fused=True)
        self.register_buffer("centre", torch.zeros(FEATURES))  # mean and standard deviation of each feature
        self.register_buffer("spread", torch.ones(FEATURES))
        self.shared = nn.Linear(FEATURES, LATENT)
        self.inner, self.outer = nn.Linear(FEATURES, OFFSET_WIDTH), nn.Linear(OFFSET_WIDTH, codes * OFFSET_COORDINATES)
        for layer in (self.shared, self.outer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("w_mean", torch.zeros(LATENT))
        self.register_buffer("directions", torch.eye(LATENT))
        self.register_buffer("scales", torch.ones(LATENT))

    @property
    def basis(self) -> Basis:
        """The principal coordinates that it answers."""
        return Basis(self.w_mean, self.directions, self.scales)

    def features(self, faces: Tensor) -> Tensor:
        """Faces [B,3,s,s] in [-1,1] -> [B,F]: the finer scale at its places and the mean of the last one."""
        enlarged = self.normalise(resize(faces, ENLARGED)).contiguous(memory_format=torch.channels_last)
        middle, last = self.net(enlarged)
        return torch.cat([F.adaptive_avg_pool2d(middle, PLACES).flatten(1), last.mean((2, 3))], 1)

    def coordinates(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Faces [B,3,R,R] -> principal coordinates [B,W] that all sites share, and each site's offset [B,L,K]."""
        features = (self.features(resize(faces, SIZE)) - self.centre) / self.spread
        offsets = self.outer(F.relu(self.inner(features)))
        return self.shared(features), offsets.unflatten(1, (self.num_w, OFFSET_COORDINATES))

    def w_of(self, shared: Tensor, offsets: Tensor) -> Tensor:
        """Coordinates as `coordinates` answers them -> w [B,L,W]."""
        first = (offsets * self.scales[:OFFSET_COORDINATES]) @ self.directions[:, :OFFSET_COORDINATES].T
        return self.basis.w(shared)[:, None] + first

    def codes(self, faces: Tensor) -> Tensor:
        return self.w_of(*self.coordinates(faces))

    def save(self, path: str | Path, generator: str, metadata: Mapping[str, str]) -> Path:
        """Write the encoder in half precision as safetensors; `generator` is the name of its generator."""
        # The mean face, by which one generator is told from another, is kept as it is.
        state = {name: value if name == "w_mean" else value.half() for name, value in self.state_dict().items()}
        return tensorfile.write(path, state, KIND, {**metadata, "generator": generator})

    @classmethod
    def load(cls, path: str | Path, generator: Generator) -> FaceEncoder:
        """The frozen encoder in a file. Raises ValueError for a file that is none, or is for another generator."""
        state, metadata = tensorfile.read(path, KIND, ADVICE)
        made_for = tensorfile.entry(metadata, "generator", path)
        if made_for != generator.name:
            raise ValueError(f"{shown(path)} is for {quoted(made_for)}, the generator is '{generator.name}'; {ADVICE}")
        with torch.device("meta"):  # quick, and no random number is drawn
            encoder = cls(generator.num_w)
        encoder.normalise = Normalise()  # its constants are in no file
        load_strictly(encoder, state, str(path))
        own = generator.w_mean.to(encoder.w_mean)
        if (encoder.w_mean - own).norm() > NEAR * own.norm():
            raise ValueError(
                f"{shown(path)} is for other weights of '{generator.name}': its mean face differs; {ADVICE}"
            )
        encoder.freeze()
        return encoder


@INVERSIONS.register("face_encoder")
def face_encoder(config: InversionConfig, options: NoOptions, generator: Generator) -> FaceEncoder:
    """The shipped encoder, or the one in the file `config.weights`."""
    return FaceEncoder.load(manifest.found(config.weights or WEIGHTS), generator)

"""The trainer of an inversion encoder: generated faces by their codes, photos by what the generator draws of them.

Legend: B faces of s = 64 pixels, r pixels of the preview head that photos are compared through. Pictures are [B,3,.,.]
in [-1,1].
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.preprocess import resize
from where2edit.backbones.vgg import LPIPS
from where2edit.core.distributed import step_seed
from where2edit.editing.preview_head import Preview, source_seen
from where2edit.facetext.trainer import parameter_groups
from where2edit.files.fingerprints import config_digest
from where2edit.files.pictures import encoded, to_image, to_picture
from where2edit.files.tensor_checks import fitted
from where2edit.generators.base import Generator
from where2edit.inversion.encoder_config import FaceEncoderConfig, pace_at
from where2edit.inversion.encoder_material import GeneratedFaces
from where2edit.inversion.face_encoder import FaceEncoder
from where2edit.training.loop import Pace, TrainingLoop
from where2edit.training.state import ADVICE

LARGEST_GRADIENT = 1.0  # norm to which the gradient of a step is clipped
SHIFT = 1  # pixels by which a generated face is moved at most
LIGHT = 0.1  # by which brightness and contrast change at most
BLURRED = (32, 60)  # pixels to which a blurred face is shrunk
QUALITIES = (60, 95)  # of a JPEG


class Networks(NamedTuple):
    """What the loss looks through; all of it is frozen."""

    generator: Generator
    preview: Preview | None  # that photos are compared through; None: whole pictures
    lpips: LPIPS
    arcface: ArcFace | None  # None: the identity is not looked at


def fingerprint(config: FaceEncoderConfig) -> str:
    """What names the run of a config: all that changes its numbers, but for its length, which may grow."""
    return config_digest(config, without=("steps", "save_every", "material.validation"))


def augmented(images: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Faces [B,3,s,s] as other cameras would have taken them: moved, lit, blurred and compressed a little."""
    return torch.stack([_one_augmented(image[None], share, draw)[0] for image in images])


def _one_augmented(image: Tensor, share: float, draw: torch.Generator) -> Tensor:
    size = image.shape[-1]
    x, y = torch.randint(2 * SHIFT + 1, (2,), generator=draw).tolist()
    image = F.pad(image, (SHIFT,) * 4, mode="replicate")[:, :, y : y + size, x : x + size]
    bright, contrast, blurs, compresses, amount = torch.rand(5, generator=draw).tolist()
    image = image * (1 + LIGHT * (2 * contrast - 1)) + LIGHT * (2 * bright - 1)
    if blurs < share:
        image = resize(resize(image, round(BLURRED[0] + amount * (BLURRED[1] - BLURRED[0]))), size)
    if compresses < share:
        quality = round(QUALITIES[0] + amount * (QUALITIES[1] - QUALITIES[0]))
        data = encoded(to_picture(image.clamp(-1, 1)[0]), "JPEG", quality=quality)
        image = to_image(Image.open(io.BytesIO(data), formats=("JPEG",)))
    return image.clamp(-1, 1)


class FaceEncoderTrainer(TrainingLoop):
    """Trains a FaceEncoder with AdamW; photos uint8 [N,3,s,s] are framed like FFHQ."""

    title = "inversion encoder"
    shown = ("loss", "codes", "lpips")

    def __init__(
        self,
        encoder: FaceEncoder,
        networks: Networks,
        faces: GeneratedFaces,
        photos: Tensor,
        config: FaceEncoderConfig,
        folder: Path,
    ):
        self.encoder, self.networks, self.config = encoder, networks, config
        self.faces, self.photos, self.device = faces, photos, encoder.w_mean.device
        heads, offsets = [*encoder.shared.parameters(), *encoder.inner.parameters()], list(encoder.outer.parameters())
        own = {"heads": (heads, config.head_rate), "offsets": (offsets, config.offset_rate)}
        optimizer = torch.optim.AdamW(parameter_groups(encoder, config.rate, own), lr=0.0, weight_decay=0.0)
        super().__init__(encoder, optimizer, folder, Pace(config.steps, config.save_every), fingerprint(config))

    def extra_state(self) -> dict[str, Tensor]:
        """The rates: they come from the weights that the run began with."""
        return {"rates": torch.tensor([group["full"] for group in self.optimizer.param_groups], dtype=torch.float64)}

    def restore(self, extra: Mapping[str, Tensor]) -> None:
        rates = fitted(extra, self.extra_state(), self.state_path, "this run", ADVICE)["rates"]
        for group, rate in zip(self.optimizer.param_groups, rates.tolist(), strict=True):
            group["full"] = rate

    def train_step(self) -> dict[str, float]:
        """One step on generated faces and photos; returns the terms of the loss, unweighted, and the seconds."""
        begin, weights = time.perf_counter(), self.config.losses
        draw = torch.Generator().manual_seed(step_seed(self.config.seed, self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = group["full"] * pace_at(self.step, self.config)
        terms = {**self.generated_terms(draw), **self.photo_terms(draw)}
        loss = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.encoder.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        figures = {name: float(value.detach()) for name, value in {"loss": loss, **terms}.items()}
        return {**figures, "seconds": time.perf_counter() - begin}

    def generated_terms(self, draw: torch.Generator) -> dict[str, Tensor]:
        """`codes`, the squared error of w on a draw of generated faces, mean over sites, as a share of W's variance."""
        rows = torch.randint(len(self.faces.w), (self.config.generated,), generator=draw)
        images = augmented(self.faces.images[rows].float() / 127.5 - 1, self.config.augmented, draw)
        error = self.encoder(images.to(self.device)) - self.faces.w[rows, None].to(self.device)
        return {"codes": error.square().sum(2).mean() / self.encoder.scales.square().sum()}

    def photo_terms(self, draw: torch.Generator) -> dict[str, Tensor]:
        """The other terms, on a draw of photos, half of them mirrored."""
        config, networks = self.config, self.networks
        rows = torch.randint(len(self.photos), (config.photos,), generator=draw)
        mirrored = torch.rand(config.photos, 1, 1, 1, generator=draw) < 0.5
        photos = self.photos[rows].float() / 127.5 - 1
        photos = torch.where(mirrored, photos.flip(3), photos).to(self.device)
        shared, offsets = self.encoder.coordinates(photos)
        w = self.encoder.w_of(shared, offsets)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bfloat16):
            drawn = source_seen(networks.generator, w, networks.preview).image
            assert drawn is not None  # it was seen
            target = F.interpolate(photos, drawn.shape[2:], mode="area")
            distance = networks.lpips(drawn.float(), target).mean()
        terms = {"lpips": distance.float(), "pixels": (drawn.float() - target).square().mean()}
        if networks.arcface is not None:
            cosine = (networks.arcface(drawn.float()) * networks.arcface(photos).detach()).sum(1)
            terms["identity"] = 1 - cosine.mean()
        long = (shared.square().mean(1) - config.losses.longest).clamp_min(0)
        return {**terms, "offsets": offsets.square().mean(), "length": long.mean()}

"""Space alignment: the training of TMSA, on pictures and without a prompt (Bai et al. 2023, Eq. 1-4).

    (1)  L_SA  = 1 - cos(E(I), E(G(w*(E(I)))))             I: a photo
    (2)  L_IA  = sum_i |w*_i(E(I_s)) - w^s|^2               I_s = G(w^s): a generated face
    (3)  L_IAI = 1 - cos(E(I_s), E(G(w*(E(I_s)))))
    (4)  L_Ada = sum_i |w*_i(E(I)) - w^e_i|^2               w^e: the codes that an inversion encoder gives the photo

Of a face its embedding and its codes are all that is read, and these are made once. Equations 2 and 4 then cost nothing
but the networks, and many faces are looked at in a step; 1 and 3 draw pictures, and look at few. Without photos, (1) is
(3). Weights of the sums, and that the adaptation (4) begins late in the run, are ours; so is the noise on embeddings,
which keeps networks from learning few faces by heart and lets them answer for texts, which lie beside all pictures.

Legend: N faces, B of them in a step, D embedding width, L w codes of W numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from where2edit.core.bounds import Bounds, Count, Few, Share, Weight
from where2edit.core.distributed import step_seed
from where2edit.editing.preview_head import source_seen
from where2edit.files.fingerprints import network_sha256
from where2edit.files.kept import kept
from where2edit.methods.tmsa import Tmsa, at_length
from where2edit.text_image.base import TextImage
from where2edit.training.loop import Pace, TrainingLoop
from where2edit.training.trainer import TrainingConfig, learning_rate

BATCH = 8  # faces that are generated at once


@dataclass(frozen=True)
class AlignmentConfig:
    """The `alignment` section; training.sources is how many pictures of each kind a step draws."""

    faces: Count = 1200  # N, generated faces whose codes and embeddings are made before the first step
    pairs: Few = 64  # B of (2) and (4)
    alignment: Weight = 1.0  # of (1) and (3)
    in_domain: Weight = 1.0  # of (2)
    adaptation: Weight = 1.0  # of (4), where there are photos and an inversion encoder; 0: none
    adapt_from: Share = 0.75  # of the run, from which on (4) counts
    noise: Annotated[float, Bounds(0, 10)] = 0.0  # standard deviation of what is added to embeddings of length sqrt(D)
    photos: str | None = None  # folder of CelebA's aligned pictures; None: generated faces stand for photos too
    most_photos: Count = 2000  # of them, evenly spread over the folder


@dataclass(frozen=True)
class AlignedFaces:
    """Faces of which a training reads this alone."""

    e: Tensor  # embeddings [N,D] of their pictures, at the length sqrt(D)
    w: Tensor | None = None  # their codes: one for all sites [N,W], or [N,L,W]; None: unknown


def space_alignment(e: Tensor, drawn: Tensor) -> Tensor:
    """Eq. 1 and 3: 1 - cosine of embeddings [B,D] of pictures and of what is drawn of them, mean over faces."""
    return 1 - F.cosine_similarity(e, drawn, dim=1).mean()


def code_distance(answered: Tensor, w: Tensor) -> Tensor:
    """Eq. 2 and 4: sum over codes of the squared distance of w* [B,L,W] from w [B,W] or [B,L,W], mean over faces."""
    return (answered - (w[:, None] if w.ndim == 2 else w)).square().sum((1, 2)).mean()


@torch.no_grad()
def generated_faces(method: Tmsa, encoder: TextImage, count: int, training: TrainingConfig) -> AlignedFaces:
    """`count` generated faces, kept in the cache; they are seen as training.use_preview_head says."""
    generator, preview = method.frozen.generator, method.frozen.preview(training.use_preview_head)

    def make() -> dict[str, Tensor]:
        e, codes = [], []
        for start in tqdm(range(0, count, BATCH), desc="generate faces"):
            random = torch.Generator().manual_seed(step_seed(training.seed, start))
            z = torch.randn(min(BATCH, count - start), generator.z_dim, generator=random).to(generator.w_mean)
            source = source_seen(generator, generator.w(z, training.truncation), preview)
            assert source.image is not None  # it was seen
            e.append(at_length(encoder.image(source.image)))
            codes.append(source.w[:, 0])
        return {"e": torch.cat(e), "w": torch.cat(codes)}

    networks = [generator, encoder, *([] if preview is None else [preview.head])]
    seen_by = [training.use_preview_head, method.frozen.preview_site, training.truncation, training.seed]
    made_from = [count, *seen_by, *map(network_sha256, networks)]
    shapes = {"e": (count, encoder.dim), "w": (count, generator.w_dim)}
    found = kept("aligned-faces", made_from, shapes, make)
    return AlignedFaces(**{name: value.to(generator.w_mean) for name, value in found.items()})


class AlignmentTrainer(TrainingLoop):
    """Trains a method that learns codes with Adam on the weighted sum of Eq. 1-4.

    faces: generated ones, with their codes; photos: real ones, whose codes are those of an inversion encoder, or None.
    """

    title, shown = "space alignment", ("total", "in_domain")

    def __init__(
        self,
        training: TrainingConfig,
        config: AlignmentConfig,
        method: Tmsa,
        encoder: TextImage,
        faces: AlignedFaces,
        photos: AlignedFaces | None,
        folder: Path,
        fingerprint: str,
        sheet: Callable[[Path], None] | None = None,
    ):
        self.training, self.config, self.method, self.encoder = training, config, method, encoder
        self.faces, self.photos, self.preview = faces, photos, method.frozen.preview(training.use_preview_head)
        with torch.no_grad():
            method.centre.copy_(at_length(faces.e.mean(0, keepdim=True))[0])
        self.parameters = [p for p in method.parameters() if p.requires_grad]
        pace = Pace(training.steps, training.snapshot_every, training.sheet_every, training.tensorboard)
        super().__init__(method, torch.optim.Adam(self.parameters, lr=training.lr), folder, pace, fingerprint, sheet)

    def train_step(self) -> dict[str, float]:
        """One step of Adam; returns the terms, unweighted, and their weighted sum."""
        torch.manual_seed(step_seed(self.training.seed, self.step))
        terms, weights = self.terms(), self.config
        if self.step < weights.adapt_from * self.training.steps:
            terms.pop("adaptation", None)
        groups = {"photo_alignment": weights.alignment, "face_alignment": weights.alignment}
        groups |= {"in_domain": weights.in_domain, "adaptation": weights.adaptation}
        total = torch.stack([groups[name] * value for name, value in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.training, self.step)
        self.optimizer.step()
        return {name: value.item() for name, value in {"total": total, **terms}.items()}

    def terms(self) -> dict[str, Tensor]:
        """Eq. 2 and 3 of generated faces, and Eq. 1 and 4 of photos, each on a draw of its own."""
        aligned, codes = self._seen(self.faces)
        found = {"in_domain": codes, "face_alignment": aligned}
        if self.photos is not None:
            found["photo_alignment"], adapted = self._seen(self.photos)
            found |= {} if adapted is None else {"adaptation": adapted}
        return {name: value for name, value in found.items() if value is not None}

    def _seen(self, faces: AlignedFaces) -> tuple[Tensor, Tensor | None]:
        """Of a draw of faces what their pictures say (Eq. 1, 3), and what their codes say, where they are known."""
        rows = torch.randint(len(faces.e), (self.config.pairs,))
        e = faces.e[rows.to(faces.e.device)]
        noisy = e + self.config.noise * torch.randn(e.shape).to(e)
        answered = self.method.codes(noisy)  # [B,L,W]
        few = slice(self.training.sources)
        drawn = source_seen(self.method.frozen.generator, answered[few], self.preview).image
        assert drawn is not None  # it was seen
        aligned = space_alignment(e[few], self.encoder.image(drawn.float()))
        return aligned, None if faces.w is None else code_distance(answered, faces.w[rows.to(e.device)])

    def line(self, values: dict[str, float]) -> dict[str, float]:
        return {"training.lr": learning_rate(self.training, self.step - 1), **values}

"""From the crop of a face to what an editor needs of it: the encoder's answer, refined.

Legend: R output resolution, L w codes, C channels and r resolution of the blend site.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from where2edit.backbones.arcface import ArcFace
from where2edit.backbones.preprocess import check_images
from where2edit.backbones.vgg import LPIPS
from where2edit.core.config import as_dict
from where2edit.core.sentences import figure
from where2edit.editing.preview_head import Preview
from where2edit.editing.principal_directions import Basis, principal_directions
from where2edit.files.fingerprints import digest, tensor_sha256
from where2edit.generators.base import Generator
from where2edit.inversion.base import InversionConfig, Inverted, build_inversion
from where2edit.inversion.likeness import Likeness
from where2edit.inversion.refinement import Refinement
from where2edit.inversion.views import Views, build_view
from where2edit.training.interrupts import held_back
from where2edit.training.state import load_state, save_state

Quality = Literal["quick", "good", "best"]
SHARES: dict[Quality, float] = {"quick": 0.1, "good": 1.0, "best": 3.0}  # of the config's steps
KEPT_EVERY = 20  # steps after which an unfinished refinement is kept
FOLLOWING = 0.25  # share of the steps for w of a face that follows one much like it
LEAST_FOLLOWING = 10  # steps; w stays where there were fewer: the first of Adam move all coordinates, and edits flicker
FOLLOWING_PACE = 0.2  # share of its learning rates: at full ones Adam moves all coordinates, and an edit flickers
DIRECTION_SAMPLES = 20_000  # z behind the principal coordinates


class Inverter:
    """Inverts faces for one generator; the networks that the fit needs are loaded with the first face."""

    def __init__(self, config: InversionConfig, generator: Generator, blend_site: str, preview: Preview | None = None):
        """preview: the one that natural strength looks through; the refinement heeds it where it is of the blend site.

        Raises ValueError for a config that does not fit the generator.
        """
        self.config, self.generator, self.blend_site = config, generator, blend_site
        own = preview if preview is not None and preview.site == blend_site else None
        self.views = Views(build_view(config.w_view, generator), build_view(config.canvas_view, generator), own)
        self._encoder = build_inversion(config, generator)
        self._networks: tuple[LPIPS, ArcFace, Basis] | None = None

    def steps(self, quality: Quality) -> tuple[int, int]:
        """The steps of a refinement for w and for the canvas."""
        w_steps, canvas_steps = (round(SHARES[quality] * n) for n in (self.config.w_steps, self.config.canvas_steps))
        return w_steps, canvas_steps

    def load(self) -> None:
        """Load what the fit needs now, so that the first face takes no longer than those after it."""
        self._loaded()

    def invert(
        self,
        face: Tensor,
        quality: Quality = "good",
        start: Inverted | None = None,
        state: Path | None = None,
        progress: bool = True,
    ) -> Inverted:
        """A face [1,3,R,R] in [-1,1], framed like FFHQ -> latents and residual; the same for the same arguments.

        start: the inversion of a face much like it, such as the frame before, in place of the encoder's answer; the
        refinement then takes smaller steps, and for w fewer. state: a file in which an unfinished refinement is kept,
        from which the same call goes on; it is removed at the end. progress: a bar is shown.

        Raises ValueError for another shape, for values that are not finite, and for the state of another face.
        """
        face = self._checked(face)
        refinement, made_from = self._refinement(face, quality, start)
        done = 0 if state is None else load_state(state, refinement.unknowns, refinement.optimizer, made_from)[0]
        steps = tqdm(range(done, refinement.steps), initial=done, total=refinement.steps, disable=not progress)
        steps.set_description(f"inverting ({quality})")
        with held_back() as pressed:
            for n in steps:
                steps.set_postfix(distance=figure(refinement.step(n), ".3f"))
                last = n + 1 == refinement.steps
                if state is not None and not last and (pressed() or (n + 1) % KEPT_EVERY == 0):
                    save_state(state, refinement.unknowns, refinement.optimizer, n + 1, made_from)
                if pressed() and not last:
                    raise KeyboardInterrupt
        if state is not None:
            state.unlink(missing_ok=True)
        return refinement.result()

    def _checked(self, face: Tensor) -> Tensor:
        """The face on the generator's device. Raises ValueError unless it is one finite image [1,3,R,R]."""
        check_images(face, "inversion")
        size = self.generator.resolution
        if face.shape != (1, 3, size, size) or not torch.isfinite(face).all():
            raise ValueError(f"inversion reads one finite face [1,3,{size},{size}] in [-1,1], got {list(face.shape)}")
        return face.to(self.generator.w_mean)

    def _refinement(self, face: Tensor, quality: Quality, start: Inverted | None) -> tuple[Refinement, str]:
        """The refinement of a face before its first step, and a digest of what its result depends on."""
        lpips, arcface, basis = self._loaded()
        (w_steps, canvas_steps), pace = self.steps(quality), 1.0
        if start is None:
            with torch.no_grad():
                start = Inverted(self._encoder(face))
        else:
            following = round(FOLLOWING * w_steps)
            w_steps = following if following >= LEAST_FOLLOWING else 0
            pace, start = FOLLOWING_PACE, start.to(face)
        where, steps = (self.generator, self.blend_site, basis, self.views), (w_steps, canvas_steps)
        made_from = [tensor_sha256(face), *(tensor_sha256(x) for x in start.tensors), as_dict(self.config), steps]
        return Refinement(*where, Likeness(lpips, arcface, face), start, steps, pace), digest(made_from)

    def _loaded(self) -> tuple[LPIPS, ArcFace, Basis]:
        """The networks of the distance, and the principal coordinates of the generator."""
        if self._networks is None:
            generator = self.generator
            directions, scales = principal_directions(generator, generator.w_dim, DIRECTION_SAMPLES, seed=0)
            basis = Basis(generator.w_mean, directions, scales)
            lpips, arcface = LPIPS.load().to(basis.mean.device), ArcFace.load().to(basis.mean.device)
            self._networks = lpips, arcface.requires_grad_(False), basis
        return self._networks

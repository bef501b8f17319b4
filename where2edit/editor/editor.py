"""The editor: set a source once, edit it many times; every edit comes with its certificate.

Legend: L w codes, D embedding width, r blend resolution, R output resolution, H x W pixels of a reference. One source
at a time.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from where2edit.core.devices import resolve_device
from where2edit.core.records import Condition, Edit, Source
from where2edit.editing.certificate import halo
from where2edit.editing.sequences import EarlierEdit, next_source
from where2edit.editor import denials
from where2edit.editor.build import (
    build_conditions,
    build_encoder,
    build_frozen,
    build_method,
    build_natural_strength,
    build_vocabulary,
)
from where2edit.editor.denials import Statement
from where2edit.editor.natural_strength import AUTO, MOST_STEPS
from where2edit.editor.profile import Profile, load_profile
from where2edit.editor.references import reference_face
from where2edit.editor.session import Result, Session
from where2edit.editor.steps import Step
from where2edit.files import pictures
from where2edit.files.fingerprints import tensor_sha256
from where2edit.files.mask_reading import mask_of


class Editor:
    """A trained method on generated faces: `Editor.load(config)`, `source(seed)`, `edit(source, Step(...))`."""

    def __init__(self, profile: Profile, device: str = "auto", weights: str | None = None):
        device = resolve_device(device)
        profile = profile.on(device)
        self.profile, self.device = profile, torch.device(device)
        self.encoder = build_encoder(profile, device)
        self.frozen = build_frozen(profile, self.encoder, device)
        self.method = build_method(profile, self.frozen, weights or profile.method.weights).eval()
        self.method.precompute(self.encoder)
        self.conditions = build_conditions(profile, self.encoder)
        self.natural = build_natural_strength(profile, self.frozen, self.encoder)
        self.vocabulary = build_vocabulary(self.encoder)
        self.halo = halo(self.frozen.generator, self.frozen.blend_site)
        self._session: Session | None = None
        self._reference: tuple[tuple, Tensor] = ((), self.frozen.generator.w_mean)  # the last one's content, embedding

    @classmethod
    def load(cls, config: str | Path, overrides: list[str] | tuple[str, ...] = (), **options) -> Editor:
        """The editor of a config file with `section.key=value` overrides; `options`: device and weights.

        Raises ValueError for a config that does not fit, and for weights or a device that are missing.
        """
        return cls(load_profile(config, overrides), **options)

    @property
    def resolution(self) -> int:
        """R, the sides of every image in pixels."""
        return self.frozen.generator.resolution

    @torch.no_grad()
    def source(self, seed: int | None = None, w: Tensor | None = None, residual: Tensor | None = None) -> Source:
        """The Source of a generated face: of a seed, or of latents w [1,L,512], [1,512] or W+ of StyleGAN2 [1,18,512].

        residual [1,C,r,r]: of a photo, what its canvas has at the blend site beyond what w writes there (inversion/).
        Raises ValueError where both are missing, and for latents of another shape.
        """
        generator = self.frozen.generator
        if w is None:
            if seed is None:
                raise ValueError("a source needs a seed or latents w, got neither; give for example seed=3")
            w = generator.w(generator.sample_z([seed]), self.profile.generator.truncation)
        residual = None if residual is None else residual.to(self.device)
        return self.method.source(generator.from_w_plus(w).to(self.device), residual=residual)

    def session(self, source: Source, earlier: tuple[EarlierEdit, ...] = ()) -> Session:
        """What edits one source many times; the last one again for the same source and earlier edits."""
        last = self._session
        if last is None or last.source is not source or last.earlier is not earlier:
            self._session = last = Session(self, source, earlier)
        return last

    def edit(self, source: Source, step: Step, chosen: float | None = None) -> Result:
        """One edit of a source, as `Session.edit` makes it."""
        return self.session(source).edit(step, chosen)

    @torch.no_grad()
    def sequence(self, source: Source, steps: list[Step], chosen: list[float] | None = None) -> list[Result]:
        """Apply steps one after another; each works on the blended canvas of the one before.

        `chosen`: the strengths of the results when the sequence was first made, one for each step, as in `edit`.
        """
        results: list[Result] = []
        earlier: tuple[EarlierEdit, ...] = ()
        for number, step in enumerate(steps):
            session, continued = self.session(source, earlier), number + 1 < len(steps)
            results.append(session.edit(step, chosen[number] if chosen else None, continued=continued))
            earlier += (EarlierEdit.of(source, results[-1].edit),)
            source = next_source(source, results[-1].edit)
        return results

    def condition(self, step: Step) -> Condition:
        """The condition of one step; an edit at natural strength is proposed at the profile's number.

        A denial, such as "no beard", is the attribute that it denies with the strength reversed (editor/denials.py).
        Raises ValueError for a prompt that is empty, too long, not understood or of several statements with a denial
        among them, for a strength that makes no sense (`strength`), and for what the method cannot edit by.
        """
        said, where = (None if text is None else self.read(text, step.force) for text in (step.prompt, step.where))
        assert said is not None  # every step has a prompt
        if said.denied and step.reference is not None:
            raise ValueError(f"a reference picture shows what to bring, but '{said.prompt}' says what should go")
        asked = self.strength(step)
        strength = self.natural.proposed if asked == AUTO and self.natural is not None else float(asked)
        strength = -strength if said.denied else strength
        condition = self.conditions.of([said.attribute], strength, None if where is None else [where.attribute])
        condition = replace(condition, threshold=step.threshold)
        if step.reference is not None:
            condition = replace(condition, h=self.embed_reference(step.reference))
        self.method.check(condition)
        return condition

    def read(self, prompt: str, force: bool = False) -> Statement:
        """What a prompt says. Raises ValueError as `condition` does; `force`: also where it is not understood."""
        denials.check_length(prompt)
        said = denials.single(prompt)
        if self.vocabulary is not None and not force and said.attribute.strip():
            self.vocabulary.check(said.attribute)
        return said

    def strength(self, step: Step) -> float | Literal["auto"]:
        """The strength of a step with the profile's default filled in: a number, or "auto".

        Raises ValueError for a number outside -1 to 1, for "auto" without a calibration, and for steps more or less
        than a number, or than natural by too many.
        """
        default = self.profile.method.strength if self.natural is None else AUTO
        strength = cast("float | Literal['auto']", default if step.strength is None else step.strength)
        if strength == AUTO:
            if self.natural is None:
                raise ValueError(
                    f"strength auto needs a calibration, which profile '{self.profile.name}' does not have; make one "
                    "with scripts/calibrate.py and name it in natural_strength.calibration, or give a number"
                )
            if abs(step.more) > MOST_STEPS:
                raise ValueError(f"an edit can be {MOST_STEPS} steps more or less than natural, got {step.more}")
            return AUTO
        if not isinstance(strength, int | float) or not math.isfinite(strength) or abs(strength) > 1:
            also = "" if self.natural is None else ", or auto"
            raise ValueError(f"strength is {strength}; give a number from -1 to 1{also} (default {default})")
        if step.more:
            raise ValueError(
                f"more and less are steps from the natural strength, but strength is {strength}; give auto"
            )
        return strength

    def embed_reference(self, reference: Tensor | Image.Image) -> Tensor:
        """The embedding [1,D] of a reference image, at the length that embeddings of prompts have.

        A picture is cropped to its face where the encoder reads framed faces (`reference_face`), a tensor never. The
        last one is kept: steps of a recipe share theirs.
        """
        image = reference if torch.is_tensor(reference) else pictures.to_image(reference)
        key = (torch.is_tensor(reference), tensor_sha256(image))
        if key != self._reference[0]:
            if self.encoder.framed_faces and not torch.is_tensor(reference):
                image = reference_face(reference, self.resolution)
            self._reference = key, self.conditions.scaled(self.encoder.image(image.to(self.device)))
        return self._reference[1]

    def mask(self, edit: Edit, step: Step) -> Tensor:
        """The mask [1,1,r,r] of a step: the method's, the user's own, or their product."""
        if step.mask is None:
            return edit.mask
        own = self.mask_cells(step.mask).to(edit.mask)
        return own if step.mask_mode == "replace" else own * edit.mask

    def mask_cells(self, mask: Tensor | Image.Image) -> Tensor:
        """The user's own mask -> [1,1,r,r]: the mean of each cell at the blend resolution.

        Raises ValueError for a tensor of another size than the output's, and for a picture as `mask_of` does.
        """
        size = self.resolution
        if not torch.is_tensor(mask):
            mask = mask_of(mask, size, "the mask picture")
        if mask.shape[2:] != (size, size):
            got = "x".join(map(str, reversed(mask.shape[2:])))
            raise ValueError(f"the mask tensor is {got} px; it must have the output's size, {size}x{size}")
        cells = self.frozen.generator.site(self.frozen.blend_site).resolution
        return F.interpolate(mask, size=(cells, cells), mode="area")

    def embed(self, image: Tensor) -> Tensor:
        """The unit embedding [1,D] of an image [1,3,R,R]."""
        return F.normalize(self.encoder.image(image).float(), dim=1)

"""Builds the rows of tables: each a method with its weights, and a list of what its numbers depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from where2edit.core import config as configs
from where2edit.editing.cosine_calibration import calibration_file
from where2edit.editor.build import build_method, build_natural_strength, frozen_on, learns_one_prompt
from where2edit.editor.natural_strength import AUTO, NaturalStrength
from where2edit.editor.profile import Profile
from where2edit.editor.weights import find_weights, load_editor
from where2edit.evaluation.heldout import heldout_digest
from where2edit.evaluation.networks import MetricNetworks
from where2edit.evaluation.options import EvaluationOptions
from where2edit.evaluation.protocols import METHOD, Protocol, Row
from where2edit.evaluation.row_profiles import SHARED, models_folder, row_profile, trained_weights
from where2edit.evaluation.samples import SamplingPlan
from where2edit.evaluation.table import BuiltRow, PlannedTable
from where2edit.files import assets
from where2edit.files.fingerprints import digest, file_sha256, network_sha256
from where2edit.methods.base import Frozen, Method


class RowBuilder:
    """Builds the rows of any number of tables; a method that several tables name is built once."""

    def __init__(
        self,
        profile: Profile,
        frozen: Frozen,
        networks: MetricNetworks,
        options: EvaluationOptions,
        folder: Path = Path("."),
    ):
        """folder: that of the report, with the models of the rows that the evaluation trains."""
        self.profile, self.frozen, self.networks, self.folder = profile, frozen, networks, folder
        self._known: dict[str, Method] = {}
        self._frozen: dict[str, Frozen] = {}
        measuring = [network_sha256(networks[name]) for name in ("train_encoder", "judge") if networks.has(name)]
        regions = file_sha256(assets.shipped(profile.regions_file), absent="")
        self._natural: NaturalStrength | None = None
        self._shared = [measuring, regions, heldout_digest(options.heldout), str(options.real)]

    def plan(self, protocol: Protocol, plan: SamplingPlan) -> PlannedTable:
        """The protocol with the rows that can run, and the reason for each that cannot.

        Raises ValueError where the profile's own method cannot be built.
        """
        rows, left_out = [], {}
        for row in protocol.rows:
            try:
                rows.append(self.row(row, plan))
            except ValueError as error:
                if row.method == METHOD and not (row.config or row.overrides or row.strength):
                    raise  # without the profile's own method there is no table
                left_out[row.label] = str(error)
        return PlannedTable(protocol, plan, rows, left_out)

    def row(self, row: Row, plan: SamplingPlan) -> BuiltRow:
        """The method of a row with its weights. Raises ValueError when it cannot be built."""
        profile, changed = self.profile, row_profile(self.profile, row)
        if strange := [name for name in SHARED if getattr(changed, name) != getattr(profile, name)]:
            raise ValueError(f"it changes {' and '.join(strange)}; evaluate it as a profile of its own")
        weights = self._weights(row, changed)
        name = changed.method.name if row.method == METHOD else row.method
        options = changed.method.options if name == changed.method.name else {}
        changed = replace(changed, method=replace(changed.method, name=name, options=options, weights=None))
        method = self._method(changed, weights)
        sha256 = file_sha256(find_weights(weights)) if weights and has_parameters(method) else ""
        relevant = [changed.generator, changed.text_image, changed.regions, changed.blending, changed.method]
        relevant += [] if row.config is None else [changed.preview_head]
        config = digest([configs.as_dict(part) for part in relevant])
        natural = self.natural(changed, row)
        strength = changed.method.strength if row.strength is None else row.strength
        if natural is not None:
            strength = AUTO
        how = [strength, *([] if natural is None else self._choosing(changed))]
        depends_on = [config, sha256, plan.batch, plan.seed, plan.crossed, how, *self._shared]
        models = models_folder(self.folder, row, changed) if row.trained else None
        inversion, own = changed.inversion, (row.tag, row.strengths, models)
        return BuiltRow(row.label, method, strength, depends_on, natural, inversion, *own)

    def _weights(self, row: Row, changed: Profile) -> str | None:
        """The trained weights of a row. Raises ValueError where they are its own and not here."""
        if row.trained:
            weights = str(trained_weights(self.folder, row, changed))
            if not Path(weights).exists():
                raise ValueError("it is not trained yet; run scripts/evaluate.py, which trains it")
            return weights
        return changed.method.weights

    def natural(self, changed: Profile, row: Row) -> NaturalStrength | None:
        """What chooses the strengths of a row of the profile `changed`; None where they are a number.

        Raises ValueError where the row asks for "auto" and there is no calibration.
        """
        config = changed.natural_strength
        if row.strength == AUTO and config.calibration is None:
            raise ValueError("its strength is auto, and the profile has no calibration; make one: scripts/calibrate.py")
        if row.strength not in (None, AUTO) or config.calibration is None:
            return None
        if self._natural is None or self._natural.config != config:
            self._natural = build_natural_strength(changed, self.frozen, self.networks["train_encoder"])
        return self._natural

    def _choosing(self, changed: Profile) -> list[object]:
        """What automatic strengths depend on: the section of the config, the calibration and the preview head."""
        config, head = changed.natural_strength, self.frozen.preview_head
        calibration = file_sha256(calibration_file(config.calibration))
        return [configs.as_dict(config), calibration, changed.preview_head.site, network_sha256(head)]

    def _method(self, profile: Profile, weights: str | None) -> Method:
        """The method of a profile with these weights, built on the shared frozen networks or found among the built."""
        key = digest([configs.as_dict(profile), weights])
        if key not in self._known:
            frozen = replace(self._frozen_of(profile), blending=profile.blending)
            if weights and learns_one_prompt(profile):
                method = build_method(profile, frozen, weights)  # one model for each file
            else:
                method = build_method(profile, frozen)
                if weights and has_parameters(method):
                    load_editor(method, find_weights(weights), profile)
            if self.networks.has("train_encoder"):
                method.precompute(self.networks["train_encoder"])
            self._known[key] = method.eval().requires_grad_(False)
        return self._known[key]

    def _frozen_of(self, profile: Profile) -> Frozen:
        """The frozen networks of a row's profile: shared, but for its own regions and preview head."""
        if [profile.regions, profile.preview_head] == [self.profile.regions, self.profile.preview_head]:
            return self.frozen
        own = [profile.regions_file, *(configs.as_dict(part) for part in (profile.regions, profile.preview_head))]
        key = digest(own)
        if key not in self._frozen:
            self._frozen[key] = frozen_on(self.frozen.generator, profile, self.networks["train_encoder"])
        return self._frozen[key]


def has_parameters(method: Method) -> bool:
    """Whether a method has anything to train; controls such as no-op have not."""
    return any(True for _ in method.parameters())

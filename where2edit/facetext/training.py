"""Trains the networks that read faces: facetext's towers, and the judge. One loop, resumable by the same command.

Legend: B pictures, K captions, C concepts, D embedding width. Pictures are [B,3,s,s] in [-1,1].
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from where2edit.backbones.efficientnet_lite import EfficientNetLite0, calibrate, fuse
from where2edit.core import distributed
from where2edit.core.config import as_dict, build
from where2edit.facetext import celeba, packed
from where2edit.facetext.caption_bank import CaptionBank
from where2edit.facetext.config import EncoderConfig, Material, rate_at
from where2edit.facetext.face_batches import Balance, FaceBatches, Mix
from where2edit.facetext.packed import Faces
from where2edit.facetext.phrases import CONCEPTS
from where2edit.facetext.synthetic_faces import TRAIN_SEEDS, VALIDATION_SEEDS, generate, parse
from where2edit.files import tensorfile
from where2edit.files.atomic import atomic_write
from where2edit.files.fingerprints import config_digest
from where2edit.text_image.facetext import ImageTower, TextHead, Towers


def material(
    config: Material, data: Path, table: celeba.AttributeTable, folder: Path, device: str
) -> tuple[Faces, Faces]:
    """Parsed photos and generated training faces, made where the folder lacks them."""

    def photos() -> Faces:
        from where2edit.backbones.face_parsing import FaceParser

        rows = celeba.training_rows(table, config.parsed)
        images = celeba.read_images(data, [table.names[row] for row in rows])
        return Faces(images, parse(FaceParser.load(config.parser_size).to(device), images), rows)

    parsed = _kept(folder / f"parsed_{config.parsed}.safetensors", photos, config.size)
    return parsed, _faces(config, folder, f"generated_{config.generated}", TRAIN_SEEDS, config.generated, device)


def _faces(config: Material, folder: Path, name: str, first: int, count: int, device: str) -> Faces:
    """`count` generated faces from seed `first` on."""

    def make() -> Faces:
        from where2edit.backbones.face_parsing import FaceParser
        from where2edit.generators.mobilestylegan import MobileStyleGAN

        generator, parser = MobileStyleGAN.load().to(device), FaceParser.load().to(device)
        return generate(generator, parser, range(first, first + count), config.size)

    return _kept(folder / f"{name}.safetensors", make, config.size)


def _kept(path: Path, make: Callable[[], Faces], size: int) -> Faces:
    """The faces in a file, which is made where it is missing."""
    if not path.is_file():
        packed.save(path, make(), {"name": path.stem})
    return packed.load(path, size)


def validation_material(
    weights: Path, data: Path, attributes: Path, folder: Path
) -> tuple[dict[str, str], EncoderConfig, Tensor, Tensor, Faces]:
    """What a report on these weights needs: their metadata and config, validation photos uint8 [N,3,s,s] with values
    [N,40], and the generated validation faces.
    """
    about = tensorfile.read_metadata(weights)
    config = build(EncoderConfig, json.loads(about["config"]))
    table = celeba.read_attributes(attributes)
    rows = table.validation().nonzero().flatten()
    photos = celeba.read_images(data, [table.names[row] for row in rows], config.material.size)
    folder.mkdir(parents=True, exist_ok=True)
    count = config.material.validation
    faces = _faces(config.material, folder, f"validation_{count}", VALIDATION_SEEDS, count, "cpu")
    return about, config, photos, table.values[rows], faces


def start(device: str) -> str:
    """The device of this process; joins the others under torchrun. "auto" takes a GPU where there is one."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if "LOCAL_RANK" in os.environ:
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        device = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    return device


def batches(
    config: EncoderConfig, photos: Tensor, table: celeba.AttributeTable, parsed: Faces, generated: Faces
) -> FaceBatches:
    """Batches over the training rows of `photos` (all rows, uint8); row numbers of parsed photos are translated.

    Where several processes train, each draws its share of the batch.
    """
    rows = celeba.training_rows(table)
    place = torch.full((len(table.names),), -1)
    place[rows] = torch.arange(len(rows))
    parsed = Faces(parsed.images, parsed.labels, place[parsed.ids])
    mix = Mix(config.mix.batch // distributed.world(), config.mix.altered // distributed.world(), config.mix.rare)
    return FaceBatches(photos[rows], table.values[rows], parsed, generated, mix, config.schedule.seed)


def new_towers(source: FaceBatches, weights: Path | None = None) -> Towers:
    """Towers whose image part is ImageNet's, its normalisation measured on faces and folded away."""
    torch.manual_seed(source.seed)
    towers = Towers()
    tower, net = towers.image_tower, EfficientNetLite0.load(weights)
    images = [tower.normalise(source(-1 - i, tower.size)[0]) for i in range(6)]
    with torch.no_grad():
        calibrate(net, images)
        tower.net = fuse(net).eval()
    return towers


def teach_words(head: TextHead, bank: CaptionBank, seed: int, steps: int = 800, rate: float = 2e-3) -> Tensor:
    """Spread the concepts before any picture is seen: each has its own axis, its denials the opposite direction.

    A caption of several concepts is taught the sum of theirs. Without this both towers start near a saddle, where all
    captions are one and no picture tells them apart; orthogonal axes also keep lipstick from meaning woman. Returns
    the axes [C,D].
    """
    draw = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(head.outer.out_features, len(CONCEPTS), generator=draw)).Q.T
    head.train()
    sides = torch.stack([-axes, axes], 1)  # [C,2,D]
    head.centre.copy_(bank.features.mean(0))
    optimizer = torch.optim.AdamW(head.parameters(), rate, weight_decay=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 * (1 - step / steps))
        alone, several = (
            kind[torch.randint(len(kind), (192,), generator=draw)] for kind in (bank.single, bank.composite)
        )
        cosines = head(_noisy(bank.features[alone])) @ sides.flatten(0, 1).T
        answer = bank.concepts[alone, 0] * 2 + bank.sides[alone, 0]
        away = 1 - cosines.gather(1, answer[:, None])
        named = (bank.concepts[several] >= 0)[..., None]
        target = (sides[bank.concepts[several].clamp_min(0), bank.sides[several]] * named).sum(1)
        apart = 1 - F.cosine_similarity(head(_noisy(bank.features[several])), target)
        loss = F.cross_entropy(8 * cosines, answer, label_smoothing=0.05) + away.mean() + apart.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return axes


@torch.no_grad()
def start_head(tower: ImageTower, source: FaceBatches, axes: Tensor, pictures: int = 7000, ridge: float = 0.5) -> None:
    """Begin the image head at the balanced ridge regression of every concept, along its axis, on ImageNet's features.

    A regression in closed form stands where hundreds of steps would lead. `ridge` is per picture.
    """
    drawn = [source(-10 - i, tower.size) for i in range(pictures // source.mix.batch)]
    features = torch.cat([tower.features(tower.normalise(images)) for images, _ in drawn])
    truth = torch.cat([said for _, said in drawn])
    mean, spread = features.mean(0), features.std(0) + 1e-4
    inputs = F.pad((features - mean) / spread, (0, 1), value=1.0)
    weight, bias = torch.zeros_like(tower.head.weight), torch.zeros_like(tower.head.bias)
    for number, axis in enumerate(axes):
        known = truth[:, number] >= 0
        side = truth[known, number].float()
        if side.std() == 0:
            continue
        share = torch.where(side == 1, 0.5 / side.mean(), 0.5 / (1 - side.mean()))
        weighed = (inputs[known] * share[:, None]).T
        square = weighed @ inputs[known] + ridge * len(side) * torch.eye(inputs.shape[1])
        solution = torch.linalg.solve(square, weighed @ (2 * side - 1))
        weight += axis[:, None] * solution[:-1] / spread
        bias += axis * (solution[-1] - solution[:-1] @ (mean / spread))
    tower.head.weight.copy_(weight)
    tower.head.bias.copy_(bias)


def prepared_towers(source: FaceBatches, bank: CaptionBank, config: EncoderConfig, weights: Path | None) -> Towers:
    """Towers ready for training: words taught, the image head begun in closed form, the first blocks frozen.

    With `weights` they are the trained ones of that file, for the refining steps alone.
    """
    if weights:
        towers = Towers.load(weights)
    else:
        towers = new_towers(source)
        start_head(towers.image_tower, source, teach_words(towers.text_head, bank, config.schedule.seed))
    towers.image_tower.net.stem.requires_grad_(False)
    towers.image_tower.net.blocks[: config.frozen_blocks].requires_grad_(False)
    return towers


class CaptionLoss(nn.Module):
    """Balanced sigmoid loss over the picture x caption matrix: every caption's two sides weigh the same."""

    def __init__(self, bank: CaptionBank, balance: Balance, config: EncoderConfig):
        super().__init__()
        self.bank, self.balance, self.config = bank, balance, config

    def draw(self, step: int) -> Tensor:
        """The caption numbers of one step."""
        draw = torch.Generator().manual_seed(self.config.schedule.seed * 1_000_003 + 500_000 + step)
        return self.bank.sample(self.config.captions, self.config.affirmed, draw, self._odds(step))

    def _odds(self, step: int) -> Tensor | None:
        """How often each concept comes up while a run refines; None for all alike."""
        refine = self.config.schedule.refine
        if not refine.at(step):
            return None
        return torch.tensor([refine.times if concept.name in refine.concepts else 1.0 for concept in CONCEPTS])

    def forward(self, towers: Towers, images: Tensor, truth: Tensor, step: int) -> Tensor:
        """Mean over captions of the weighted cross entropies of pictures with truth [B,C]."""
        rows = self.draw(step)
        said = self.bank.truth(rows, truth)
        text = towers.text_head(_noisy(self.bank.features[rows].to(images.device)))
        logits = towers.log_scale.exp() * towers.image_tower.encode(images) @ text.T + towers.bias
        loss = F.binary_cross_entropy_with_logits(logits, said.clamp_min(0).to(logits.dtype), reduction="none")
        return (loss * self._weights(rows, truth, said)).sum() / len(rows)

    def _weights(self, rows: Tensor, truth: Tensor, said: Tensor) -> Tensor:
        """Captions of one concept take that concept's weights; composites are balanced within the batch."""
        concepts = self.bank.concepts[rows].to(truth.device)
        single = self.balance.weights(truth)[:, concepts[:, 0]]
        sides = [(said == side).float() for side in (0, 1)]
        counts = [side.sum(0) for side in sides]
        # A caption that few pictures of the batch fit would put all its weight on them.
        both = (counts[1] / 3).clamp_max(1) * (counts[0] > 0)
        joint = sum(0.5 * side / count.clamp_min(1) for side, count in zip(sides, counts, strict=True)) * both
        return torch.where(concepts[:, 1] < 0, single, joint)


def concept_loss(balance: Balance) -> Callable[[nn.Module, Tensor, Tensor, int], Tensor]:
    """Balanced cross entropy of a network with one logit per concept: the judge's loss."""

    def loss(net: nn.Module, images: Tensor, truth: Tensor, step: int) -> Tensor:
        logits = net.encode(images).float()
        each = F.binary_cross_entropy_with_logits(logits, truth.clamp_min(0).to(logits.dtype), reduction="none")
        return (each * balance.weights(truth)).sum() / truth.shape[1]

    return loss


def _noisy(features: Tensor, amount: float = 0.03) -> Tensor:
    """Text features with noise, so that the head maps the neighbourhood of a phrase, not the phrase alone."""
    return features + amount * torch.randn_like(features)


def attacked(images: Tensor, size: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The first half of the pictures moved by `size` per pixel so that the loss rises, from a random start."""
    half = len(images) // 2
    start = images[:half] + size * (2 * torch.rand_like(images[:half]) - 1)
    start.requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(torch.cat([start, images[half:]])), start)
    moved = images[:half] + (start - images[:half] + size * gradient.sign()).clamp(-size, size)
    return torch.cat([moved.detach().clamp(-1, 1), images[half:]])


class Run:
    """One training run: `advance()` to the end, saving as it goes; the same folder continues where it stopped.

    Under torchrun every process works on its share of each batch and the gradients are averaged; the first one writes.
    """

    def __init__(self, net: nn.Module, heads: list[nn.Parameter], slow: list[nn.Parameter], source: FaceBatches,
                 balance: Balance, loss: Callable, config: EncoderConfig, folder: Path, device: str):  # fmt: skip
        """`heads` start from nothing, `slow` are nearly done; loss(net, images, truth, step) gives a scalar."""
        self.net, self.source, self.balance, self.loss = net.to(device), source, balance, loss
        self.config, self.folder, self.device = config, folder, device
        self.average = deepcopy(self.net).requires_grad_(False)
        self.before = self.average.state_dict()  # averaged weights as they are when the refining begins
        own = {id(p) for p in (*heads, *slow)}
        base = [p for p in self.net.parameters() if p.requires_grad and id(p) not in own]
        schedule = config.schedule
        rates = (schedule.rate, schedule.head_rate, schedule.slow_rate)
        # Folded normalisation leaves tensors fifty times larger than others: one absolute rate would fit none of them.
        groups = [
            {"params": [p], "full": rates[0] * float(p.detach().square().mean().sqrt().clamp_min(1e-3))} for p in base
        ]
        kinds = zip((heads, slow), rates[1:], ("heads", "slow"), strict=True)
        groups += [{"params": p, "full": rate, "kind": kind} for p, rate, kind in kinds if p]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=schedule.weight_decay)
        self.step = 0
        self._resume()
        if not self.balance.steps:
            # A first count of the sides keeps the weights of the first steps sane.
            for i in range(30):
                self.balance.update(source(-100 - i, config.schedule.small_size)[1])

    def skip_to(self, step: int) -> None:
        """Begin at `step`, with trained weights; a run that has been there goes on where it stopped."""
        self.step = max(self.step, step)

    @property
    def state_file(self) -> Path:
        return self.folder / "training_state.pt"

    def _resume(self) -> None:
        if not self.state_file.is_file():
            return
        state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        if state["config"] != config_digest(self.config):
            raise ValueError(f"{self.folder} holds a run of another config; choose another --out or delete it")
        for name in ("net", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.before = state["before"]
        self.balance.counts, self.balance.steps, self.step = state["counts"], state["balance_steps"], state["step"]

    def save(self) -> None:
        """Write everything that the run needs to go on exactly."""
        state = {name: getattr(self, name).state_dict() for name in ("net", "average", "optimizer")}
        state |= {"counts": self.balance.counts, "balance_steps": self.balance.steps, "step": self.step}
        state["before"] = self.before
        with atomic_write(self.state_file) as file:
            torch.save({**state, "config": config_digest(self.config)}, file)

    def advance(self, report: Callable[[nn.Module], dict] | None = None, report_every: int = 0) -> None:
        """Train to the last step; `report(average)` gives figures for the log every so many steps."""
        steps = self.config.schedule.steps
        first = distributed.rank() == 0
        with tqdm(total=steps, initial=self.step, desc=self.folder.name, disable=not first) as bar:
            while self.step < steps:
                begin = time.perf_counter()
                figures = {"step": self.step + 1, "loss": self._one_step(), "seconds": time.perf_counter() - begin}
                self.step += 1
                if not first:
                    continue
                if report and report_every and self.step % report_every == 0:
                    figures |= report(self.average)
                    tqdm.write(json.dumps(figures))
                with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(figures) + "\n")
                if self.step % self.config.schedule.save_every == 0 or self.step == steps:
                    self.save()
                bar.set_postfix(loss=f"{figures['loss']:.3f}")
                bar.update()

    def result(self) -> nn.Module:
        """What is published: the averaged weights, with a share of those from before the refining."""
        result, keep = deepcopy(self.average), self.config.schedule.refine.keep
        result.load_state_dict({k: torch.lerp(v, self.before[k], keep) for k, v in result.state_dict().items()})
        return result

    def _one_step(self) -> float:
        schedule, step = self.config.schedule, self.step
        rank, world = distributed.rank(), distributed.world()
        torch.manual_seed(schedule.seed * 1_000_003 + step * world + rank)
        full = self.config.material.size
        size = schedule.small_size if step < schedule.small_share * schedule.steps else full
        images, truth = self.source(step * world + rank, size, self.device)
        self.balance.update(truth)
        self.net.train()
        self._set_rates()
        if step == schedule.refine.start:
            self.before = deepcopy(self.average.state_dict())
        if schedule.refine.at(step):
            self.balance.inside(schedule.refine.concepts, schedule.refine.within)
        if (
            schedule.attack_every
            and step % schedule.attack_every == 0
            and step >= schedule.attack_from * schedule.steps
        ):
            images = attacked(images, schedule.attack_size, lambda x: self.loss(self.net, x, truth, step))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=schedule.bfloat16):
            loss = self.loss(self.net, images, truth, step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._share_gradients()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        return float(loss.detach())

    def _share_gradients(self) -> None:
        """Average the gradients over the processes, in one message."""
        if distributed.world() == 1:
            return
        gradients = [p.grad for p in self.net.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, shared in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(shared.view_as(gradient) / distributed.world())

    def _set_rates(self) -> None:
        refining = self.config.schedule.refine.at(self.step)
        for group in self.optimizer.param_groups:
            still = refining and group.get("kind") == "slow"
            group["lr"] = 0.0 if still else group["full"] * rate_at(self.step, self.config.schedule)

    @torch.no_grad()
    def _update_average(self) -> None:
        # The average starts short and grows, so that the first steps do not linger in it.
        schedule = self.config.schedule
        longest = schedule.refine.average if schedule.refine.at(self.step) else schedule.average
        decay = min(longest, (1 + self.step) / (10 + self.step))
        for kept, new in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
            kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)


def publish(net: nn.Module, path: Path, config: EncoderConfig, model: str, **about: str) -> None:
    """Write weights in half precision, with what they say about themselves; the first process does it."""
    if distributed.rank():
        return
    state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    tensorfile.write(path, state, model, {**_metadata(config), **about})


def _metadata(config: EncoderConfig) -> dict[str, str]:
    return {
        "config": json.dumps(as_dict(config)), "config_digest": config_digest(config),
        "licence": "non-commercial research only (CelebA, FFHQ)",
        "sources": "CelebA, MobileStyleGAN-FFHQ, ImageNet weights",
    }  # fmt: skip

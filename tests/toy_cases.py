"""A tiny frozen generator, encoder and regions, and methods built on them; nothing is loaded, all is seeded."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

from where2edit.backbones.vgg import LPIPS, VGG16
from where2edit.core.config import build_section
from where2edit.core.records import Condition
from where2edit.editing.attention.base import AttentionConfig
from where2edit.editing.blended_walk import blended_trunk, tail
from where2edit.editing.conditions import Conditions
from where2edit.editing.face_parts import PARTS, part_ids
from where2edit.editing.mappers import MAPPERS
from where2edit.editing.mappers.base import MapperConfig
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.preview_head import PreviewHead
from where2edit.editing.regions import RegionConfig, Regions, positional
from where2edit.generators.stylegan2 import create
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImageConfig
from where2edit.training.prompts import PromptSampler

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = ("blond hair", "a big smile", "red lipstick", "eyeglasses", "bushy eyebrows", "a beard")
SHOWN = ("hair", "u_lip", "background")  # by the regions
CAPTION = "She has blond hair, a big smile, and red lipstick.\nHe wears eyeglasses, has bushy eyebrows, a beard.\n"
SMALL = {"w_principal": {"components": 8, "hidden": 16, "samples": 600}}  # options of mappers
# Options of methods that only make them cheaper.
QUICK = {"tedigan": {"steps": 1, "lpips": 0.0}, "tmsa": {"hidden": 32}, "hairclip": {"blocks": 1}}
QUICK |= {"styleclip-optimization": {"steps": 1}, "styleclip-global": {"relevance": {"faces": 1}}}


def mapper(name="w_principal", **options):
    """The config of a small mapper."""
    return MapperConfig(name, {**SMALL.get(name, {}), **options})


def attention(**options):
    """The config of a small attention."""
    return AttentionConfig(options={"inputs": "trunk", "channels": 4, **options})


MAPPER_NAMES = MAPPERS.names()


@cache
def generator(resolution=16):
    return create(resolution, 1, seed=1)


@cache
def encoder():
    return build_section(TEXT_IMAGE, TextImageConfig(name="toy"), "text_image")


def conditions():
    return Conditions(encoder())


def sampler():
    """Training prompts drawn from PROMPTS."""
    return PromptSampler(list(PROMPTS), conditions())


@cache
def sources(seeds=(0,), resolution=16):
    with torch.no_grad():
        net = generator(resolution)
        return net.source(net.w(net.sample_z(list(seeds))))


def shares(*names):
    """Names of regions, each of one part of a face: [k,25]."""
    return F.one_hot(torch.tensor([PARTS.index(name) for name in names]), len(PARTS)).float()


@cache
def regions(resolution=16, k=3, blend=None):
    """Centres taken from pixels of one face, so that all of them are met."""
    name = blend or f"{resolution}.conv1"
    points = positional(sources((5,), resolution).features[name])[0].flatten(1).T  # [pixels,D]
    centres = points[:: len(points) // k][:k].clone()
    config = RegionConfig(k=k, samples=1)
    return Regions(centres, config, generator(resolution).name, name, 0.0, shares(*SHOWN[:k]))


@cache
def preview_head(resolution, site):
    """A preview head at `site` with random weights, whose pictures follow the styles of the later sites."""
    net = generator(resolution)
    later = [each for each in net.sites if each.resolution > net.site(site).resolution]
    draw = torch.Generator().manual_seed(0)
    weights = {each.name: torch.randn(each.channels, each.width, generator=draw) / each.width**0.5 for each in later}
    return PreviewHead(weights, {name: torch.zeros(len(w)) for name, w in weights.items()}, {}).requires_grad_(False)


def frozen(resolution=16, blend=None, **blending):
    """What methods are built from; with `blend`, before the last convolution, also a preview head at that site."""
    config = BlendingConfig(**{"blur": 3, **blending})
    head = {"preview_head": preview_head(resolution, blend), "preview_site": blend} if blend else {}
    site = blend or f"{resolution}.conv1"
    return Frozen(generator(resolution), encoder().dim, site, config, regions(resolution, blend=blend), **head)


def blended_walk(generator, source, styles, mask, site, keep=False, seam=None):
    """The whole blended synthesis -> (what was kept, image [B,3,R,R]); `keep`: also what the tail writes is kept."""
    blended = tail(generator, source, blended_trunk(generator, source, styles, mask, site, seam), keep=keep)
    return blended, generator.image(blended.canvas)


def method(name="where2edit", seed=0, mapping=None, resolution=16, attending=None, blend=None, **blending):
    """A method with random weights of `seed`, as training starts from."""
    torch.manual_seed(seed)
    config = MethodConfig(name, QUICK.get(name, {}), mapper=mapping or mapper(), attention=attending or attention())
    built = METHODS.get(name)(frozen(resolution, blend, **blending), config)
    built.precompute(encoder())
    return built


COLOURS = ("Blue_Hair", "Red_Lips")


def coloured(seed=0):
    """A method of 32 px, blended at 16 px, with a preview head and two colours that have large shifts."""
    built = method(mapping=mapper(colours=COLOURS), resolution=32, blend="16.conv1").eval().requires_grad_(False)
    colours, draw = built.mapper.colours, torch.Generator().manual_seed(seed)
    colours.colour_embeddings.copy_(torch.randn(colours.colour_embeddings.shape, generator=draw))
    colours.colour_shifts.copy_(100 * torch.randn(colours.colour_shifts.shape, generator=draw))
    for row, part in zip(colours.colour_parts, ("hair", "lips"), strict=True):
        row[list(part_ids(part))] = 1.0
    return built


def colour_words(built, strength=0.1, number=0):
    """The condition of one colour's own words, with every region open."""
    h = built.mapper.colours.colour_embeddings[number : number + 1]
    return Condition(h, h, strength, threshold=0.0)


class Corner:
    """In place of a face parser: every region is the upper left corner."""

    def mask(self, images, *names):
        mask = torch.zeros(len(images), 1, *images.shape[-2:])
        mask[..., : images.shape[-2] // 4, : images.shape[-1] // 4] = 1
        return mask


def half_open(name="where2edit", seeds=(0, 1)):
    """A method whose masks are on in some regions and off in others: the threshold is set between its own values."""
    built = method(name).eval()
    if hasattr(built, "parser"):
        built.parser, built.regions = Corner(), dict.fromkeys(PROMPTS, ("hair",))
    with torch.no_grad():
        edit = built(sources(seeds), condition(n=len(seeds)))
    thresholded = (edit.region_attention, edit.attention, edit.mask)
    values = next(each for each in thresholded if each is not None).unique()
    blending = replace(built.frozen.blending, threshold=float(values[len(values) // 2]))
    built.frozen = replace(built.frozen, blending=blending)
    return built


def condition(prompts=None, n=1, per_source=2, strength=0.1):
    """The first prompts, `per_source` for each of n sources in a row."""
    prompts = prompts or (PROMPTS * n)[: n * per_source]
    return conditions().of(list(prompts), strength, per_source=per_source)


def check_short_training(method, losses, folder, steps, lr=0.01, strength=1.0):
    """Training a model of one prompt on `losses` {name: LossConfig} lowers their sum and moves its parameters only."""
    from where2edit.files.fingerprints import network_sha256
    from where2edit.training.losses.base import build_loss
    from where2edit.training.prompts import FixedPrompts
    from where2edit.training.trainer import EditorTrainer, TrainingConfig

    built = {name: (entry, build_loss(name, entry, encoder())) for name, entry in losses.items()}
    config = TrainingConfig(steps=steps, prompts=1, mode="one_prompt", lr=lr, warmup=0.0, tensorboard=False)
    run = EditorTrainer(config, method, FixedPrompts(["a beard"], conditions()), built, folder, strength, "toy")
    start = {name: p.detach().clone() for name, p in method.named_parameters()}
    frozen = {net: network_sha256(net) for net in (method.frozen.generator, encoder())}
    totals = []
    for run.step in range(steps):
        totals.append(run.train_step()["total"])
    assert sum(totals[-2:]) < sum(totals[:2]) - 2 * 0.05
    assert all(not torch.equal(p, start[name]) for name, p in method.named_parameters())
    assert all(network_sha256(net) == before for net, before in frozen.items())


def lively_editor(path, overrides=()):
    """Weights for configs/toy.yaml whose attention opens some regions and closes others, as a trained one does."""
    from where2edit.files import tensorfile

    return tensorfile.write(path, _lively(tuple(overrides)), "editor", {})


@cache
def _lively(overrides):
    from where2edit.editor.build import build_frozen, build_method
    from where2edit.editor.profile import load_profile
    from where2edit.editor.weights import editor_tensors

    built = load_profile(ROOT / "configs/toy.yaml", overrides)
    net = build_method(built, build_frozen(built, encoder()))
    with torch.no_grad():
        edit = net(net.source(net.latents(net.frozen.generator.sample_z([1, 2]), 0.7)), condition(n=2, per_source=3))
        # The threshold of 0.8 then stands in the middle of what the regions say.
        net.attention.bias.add_(math.log(0.8 / 0.2) - edit.region_attention.median().logit())
    return editor_tensors(net)


@cache
def random_vgg(cls=VGG16, path=None):
    """VGG16 with random weights, in place of VGG16.load."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls()


@cache
def random_lpips(size=None):
    """LPIPS with random weights on the random VGG16, in place of LPIPS.load."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = LPIPS(size)
        built.vgg = random_vgg()
        return built


class DarkHair(torch.nn.Module):
    """In place of a face parser: every pixel darker than the picture's mean shows hair."""

    def __init__(self, size=512):
        super().__init__()

    def mask(self, images, *names):
        grey = images.mean(1, keepdim=True)
        return grey < grey.mean((2, 3), keepdim=True)


class ColourIdentity(torch.nn.Module):
    """In place of ArcFace: the identity of a face are the colours of 16 parts of the picture."""

    def forward(self, images):
        return F.normalize(F.adaptive_avg_pool2d(images, 4).flatten(1), dim=1)


def openai_net() -> torch.nn.Module:
    """A CLIP of OpenAI's layout, 32 px and a few thousand weights wide, with QuickGELU."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    vision = CLIPVisionCfg(layers=2, width=64, patch_size=16, image_size=32)
    text = CLIPTextCfg(context_length=77, vocab_size=49408, width=64, heads=1, layers=2)
    return CLIP(48, vision, text, quick_gelu=True).eval()

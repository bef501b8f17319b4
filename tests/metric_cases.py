"""Small cases and stand-in networks for tests of metrics; every network is a fixed random map, nothing is loaded."""

import torch
import torch.nn.functional as F

from where2edit.backbones.face_parsing import CLASSES, region_mask
from where2edit.core.records import Condition, Edit, Source
from where2edit.evaluation.metrics.edit_batch import AnalysedImages, EditBatch
from where2edit.evaluation.natural_faces import NaturalFaces
from where2edit.evaluation.networks import MetricNetworks

R = 64
PROMPTS = ("blond hair", "big nose", "red lips")
REGIONS = (("hair",), ("nose",), ("lips",))


class RandomFeatures(torch.nn.Module):
    """Images -> [B,D] by a fixed random projection of an 8 px version."""

    def __init__(self, width, seed=0, positive=False):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.register_buffer("weight", torch.randn(3 * 64, width, generator=draw))
        self.positive = positive

    def forward(self, images):
        x = F.adaptive_avg_pool2d(images, 8).flatten(1) @ self.weight
        return x.abs() if self.positive else x


class Encoder:
    dim = 16

    def __init__(self, seed):
        self.features = RandomFeatures(16, seed)

    def image(self, images):
        return self.features(images)

    def text(self, prompts):
        seeds = [sum(map(ord, prompt)) for prompt in prompts]
        return torch.stack([torch.randn(16, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def to(self, device):
        return self


class Parser:
    """Labels by place, 32 px: hair on top, a nose in the middle, lips below it, background at the bottom, else skin."""

    def labels(self, images):
        labels = torch.full((len(images), 32, 32), CLASSES.index("skin"))
        labels[:, :8] = CLASSES.index("hair")
        labels[:, 13:18, 14:18] = CLASSES.index("nose")
        labels[:, 22:24, 12:20] = CLASSES.index("u_lip")
        labels[:, 28:] = CLASSES.index("background")
        return labels

    def mask(self, images, *regions):
        return region_mask(self.labels(images), *regions)[:, None]


class Distance:
    """Stands for LPIPS: the squared difference at two scales."""

    def layers(self, a, b):
        square = (a - b).square().mean(1, keepdim=True)
        return [square, F.avg_pool2d(square, 4)]


def make_networks(**given):
    return MetricNetworks(
        {
            "inception": RandomFeatures(2048, 1, positive=True),
            "inception_logits": RandomLogits(),
            "real_features": RandomFeatures(2048, 1, positive=True)(make_images(40, seed=99)),
            "face_parsing": Parser(),
            "arcface": RandomFeatures(32, 2),
            "facenet": RandomFeatures(32, 3),
            "lpips": Distance(),
            "judge": Judge(),
            "train_encoder": Encoder(4),
            "natural_faces": natural_faces(),
            "heldout_encoder": Encoder(5),
        }
        | given
    )


class Judge(RandomFeatures):
    names = ("Big_Nose", "Wearing_Lipstick", "Smiling")

    def __init__(self):
        super().__init__(3, 8)


def natural_faces(n=240):
    """Stands for unedited faces: random answers, by which a third of them has each concept and a third lacks it."""
    draw = torch.Generator().manual_seed(11)
    features, logits, embeddings = (torch.randn(n, width, generator=draw) for width in (2048, 3, 16))
    return NaturalFaces(Judge.names, features.abs(), 4 * logits, F.normalize(embeddings, dim=1))


class RandomLogits(torch.nn.Module):
    def forward(self, features):
        return features[:, :1008] / 10


def make_images(n, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (torch.randn(n, 3, R, R, generator=draw) * 0.3).clamp(-1, 1)


def make_batch(n=6, seed=0, networks=None, edit=None, start=0, seconds=0.5):
    """n samples; by default the edit brightens a square of the mask by noise that depends on the sample."""
    networks = networks or make_networks()
    before = make_images(start + n, seed)[start:]
    mask = torch.zeros(n, 1, 16, 16)
    mask[:, :, 2:6, 3:9] = 0.9
    noise = make_images(start + n, seed + 1)[start:]
    after = before + F.interpolate(mask, (R, R)) * noise if edit is None else edit(before)
    names = [PROMPTS[(start + i) % 3] for i in range(n)]
    empty = {"styles": {}, "features": {}}
    return EditBatch(
        index=torch.arange(start, start + n),
        source=Source(w=torch.zeros(n, 1, 512), image=before, **empty),
        condition=Condition(torch.zeros(n, 16), torch.zeros(n, 16), 0.1, tuple(names)),
        edit=Edit(styles={}, mask=mask, image=after),
        before=AnalysedImages(before, networks),
        after=AnalysedImages(after, networks),
        regions=tuple(REGIONS[(start + i) % 3] for i in range(n)),
        concepts=tuple((None, "Big_Nose", "-Wearing_Lipstick")[(start + i) % 3] for i in range(n)),
        halo=3,
        seconds=seconds * n,
        leak=0,
    )

"""The weights that the training of an inversion encoder starts from.

The image network is facetext's. The layer that answers the shared coordinates is the ridge regression of the codes of
generated faces on their features, which has a closed form and replaces hundreds of steps.

Legend: N faces, F features, W coordinates.
"""

from __future__ import annotations

import torch

from where2edit.editing.principal_directions import principal_directions
from where2edit.files.manifest import found
from where2edit.generators.base import LATENT, Generator
from where2edit.inversion.encoder_material import GeneratedFaces
from where2edit.inversion.face_encoder import FaceEncoder
from where2edit.text_image.facetext import WEIGHTS, Towers

SAMPLES = 20_000  # z behind the principal directions
BATCH = 32  # faces read at a time
LEAST_SPREAD = 1e-3  # standard deviation that a feature is taken to have at least


def untrained(generator: Generator, seed: int) -> FaceEncoder:
    """An encoder of a generator that answers the mean face: principal directions of W, and facetext's image network."""
    torch.manual_seed(seed)
    encoder = FaceEncoder(generator.num_w)
    encoder.net.load_state_dict(Towers.load(found(WEIGHTS)).image_tower.net.state_dict())
    encoder.w_mean.copy_(generator.w_mean)
    directions, scales = principal_directions(generator, LATENT, SAMPLES, seed=0)
    encoder.directions.copy_(directions)
    encoder.scales.copy_(scales)
    return encoder


@torch.no_grad()
def start_shared(encoder: FaceEncoder, faces: GeneratedFaces, ridge: float) -> None:
    """Set the mean and the spread of the features, and the layer of the shared coordinates to the ridge regression.

    `ridge` is the penalty per face.
    """
    images = faces.images.split(BATCH)
    features = torch.cat([encoder.features(chunk.float() / 127.5 - 1) for chunk in images])  # [N,F]
    encoder.centre.copy_(features.mean(0))
    encoder.spread.copy_(features.std(0).clamp_min(LEAST_SPREAD))
    inputs = ((features - encoder.centre) / encoder.spread).double()
    targets = encoder.basis.coordinates(faces.w).double()
    centre = targets.mean(0)
    square = inputs.T @ inputs + ridge * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
    encoder.shared.weight.copy_(torch.linalg.solve(square, inputs.T @ (targets - centre)).T)
    encoder.shared.bias.copy_(centre)

"""Masks and strengths that the first frame leaves for all: what is written is read again, and nothing else is."""

import pytest
import torch

from where2edit.files import tensorfile
from where2edit.photo_editing.steady import KIND, Steady, read_steady


def test_what_is_no_choice_of_a_first_frame_is_refused(tmp_path):
    mask = torch.full((1, 1, 4, 4), 0.5)
    path = Steady({1: [mask, mask / 2]}, {1: [0.1, -0.3]}).write(tmp_path / "x.safetensors")
    read = read_steady(path)
    assert read.strengths == {1: [0.1, -0.3]} and torch.equal(read.masks[1][1], mask / 2)
    wrong = ({"masks-1": mask}, {"masks-1": torch.cat([mask, mask * 3])}, {"strengths-1": torch.tensor([2.0, 1.0])})
    for change in (*wrong, {"masks-1": mask[0, 0]}, {"masks-2": mask}):
        tensors, _ = tensorfile.read(path, KIND)
        tensorfile.write(tmp_path / "y.safetensors", tensors | change, KIND, {})
        with pytest.raises(ValueError, match="holds no masks and strengths of frames; edit the frames again"):
            read_steady(tmp_path / "y.safetensors")
    for place, steps in ((0, 2), (1, 1)):
        with pytest.raises(ValueError, match=f"no masks for {steps} steps of face {place + 1} were kept"):
            read.steps(place, [None] * steps, 8)

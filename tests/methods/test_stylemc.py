"""StyleMC: its direction on a case that can be worked out by hand, what trains, and its profiles."""

import pytest
import torch
import toy_cases as toy

from where2edit.editing.channel_relevance import style_spread
from where2edit.editor.profile import load_profile
from where2edit.methods import METHODS
from where2edit.methods.base import MethodConfig
from where2edit.training.losses.base import LossConfig

ROOT = toy.ROOT
STEPS = 8


def stylemc(resolution=8, **options):
    torch.manual_seed(0)
    return METHODS.get("stylemc")(toy.frozen(resolution), MethodConfig("stylemc", options))


def test_m1_every_face_gets_the_same_change_in_standard_deviations():
    method, source = stylemc(upto=8), toy.sources((0, 1), 8)
    spread = style_spread(toy.generator(8), method.sites)
    with torch.no_grad():
        for each in method.direction.values():
            each.zero_()
        method.direction["8_conv0"][[5, 7]] = torch.tensor([3.0, -4.0])
        edit = method.propose(source, toy.condition(n=2, per_source=2, strength=0.5))
    own = source.repeat(2)
    for site, style in edit.styles.items():
        change = style - own.styles[site]
        assert change.any() == (site == "8.conv0")
    change = edit.styles["8.conv0"] - own.styles["8.conv0"]
    expected = torch.tensor([1.5, -2.0]) * spread["8.conv0"][[5, 7]]
    assert torch.allclose(change[:, [5, 7]], expected.expand(4, 2), atol=1e-5) and change.count_nonzero() == 8
    assert torch.allclose(edit.shift, torch.tensor([0.0, 2.5, 0.0]).expand(4, 3))  # 0.5 of 3, 4, 5


def test_channels_above_the_resolution_that_is_asked_for_stay():
    assert [site.name for site in stylemc(16, upto=8).sites] == ["4.conv1", "8.conv0", "8.conv1"]
    with pytest.raises(ValueError, match="method.options.upto is 4; allowed: 8 to"):
        MethodConfig("stylemc", {"upto": 4})


def test_m2_a_short_training_lowers_the_loss_and_moves_its_own_parameters_only(tmp_path):
    method = stylemc()
    toy.check_short_training(method, {"clip_distance": LossConfig(1.0)}, tmp_path, STEPS, lr=0.1, strength=1.0)


@pytest.mark.parametrize("name", ["stylemc", "stylemc_ffhq"])
def test_its_profiles_use_its_losses_on_small_pictures(name):
    profile = load_profile(ROOT / f"configs/methods/{name}.yaml")
    assert (profile.method.name, profile.training.mode, profile.method.weights) == ("stylemc", "one_prompt", None)
    losses = {each for each, entry in profile.losses.items() if entry.weight}
    added = {"style_delta"} if name == "stylemc" else set()
    assert losses == {"clip_distance", "identity"} | added
    assert profile.training.use_preview_head and not profile.natural_strength.calibration


@pytest.mark.slow
def test_on_the_paper_s_generator_every_channel_up_to_256_px_has_a_gradient():
    """StyleGAN2 of 64 px with random weights: all of its convolutions are below 256 px."""
    method, source = stylemc(64), toy.sources((0,), 64)
    edit = method(source, toy.condition(per_source=1, strength=1.0))
    edit.image.square().mean().backward()
    assert edit.image.shape == (1, 3, 64, 64) and len(method.sites) == 9 and not method.local
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())

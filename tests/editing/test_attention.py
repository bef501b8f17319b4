"""The attention module against an independent statement of the released recipe in float64."""

import math

import pytest
import torch

from where2edit.editing.attention.modulated import AttentionOptions, ModulatedAttention
from where2edit.generators.base import CONSTANT
from where2edit.generators.stylegan2 import create

BLEND = "16.conv1"  # of a generator of 32 px, so that two inputs lie above it
H = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def generator():
    return create(32, 1, seed=2)


@pytest.fixture(scope="module")
def features(generator):
    with torch.no_grad():
        return generator.source(generator.w(generator.sample_z([0, 1, 2]))).features


def attention(generator, seed=0, blend=BLEND, **options):
    torch.manual_seed(seed)
    net = ModulatedAttention(generator, blend, H.shape[1], AttentionOptions(**{"channels": 6, **options}))
    with torch.no_grad():
        for p in net.parameters():  # also what starts at zero or one must act where the recipe says
            p.add_(torch.randn_like(p), alpha=0.2)
        net.bias.fill_(0.3)
    return net


def styled_conv(conv, x, h):
    """Section 4, steps 1-4, with one modulated, demodulated weight per sample and a plain loop over samples."""
    x, h, weight = x.double(), h.double(), conv.weight.detach().double()
    outputs, inputs = weight.shape
    affine, bias = conv.affine.weight.detach().double(), conv.affine.bias.detach().double()
    rows = []
    for sample, text in zip(x, h, strict=True):
        modulation = affine @ text / math.sqrt(len(text)) + bias
        w = weight * modulation / math.sqrt(inputs)
        w = w / torch.sqrt(w.square().sum(1, keepdim=True) + 1e-8)
        y = torch.einsum("oc,cxy->oxy", w, sample) + conv.bias.detach().double()[:, None, None]
        rows.append(math.sqrt(2) * torch.where(y > 0, y, 0.2 * y))
    return torch.stack(rows)


def nearest(x, size):
    """Nearest neighbour by index: repeated pixels, or every (r/size)-th one."""
    if x.shape[-1] <= size:
        times = size // x.shape[-1]
        return x.repeat_interleave(times, 2).repeat_interleave(times, 3)
    step = x.shape[-1] // size
    return x[:, :, ::step, ::step]


def released(net, names, features, h, size):
    """Section 4 in the released order: convolution at full size first, then the resize; constant input first."""
    maps = [nearest(styled_conv(c, features[n], h), size) for c, n in zip(net.first, names, strict=True)]
    return torch.sigmoid(styled_conv(net.last, torch.cat(maps, 1), h) + net.bias.item())


TRUNK = [CONSTANT, "4.conv1", "8.conv0", "8.conv1", "16.conv0", "16.conv1"]
INPUTS = {"trunk": TRUNK, "all": [*TRUNK, "32.conv0", "32.conv1"]}


@pytest.mark.parametrize("inputs", INPUTS)
def test_attention_is_the_released_recipe(generator, features, inputs):
    net = attention(generator, inputs=inputs)
    with torch.no_grad():
        a = net(features, H)
    expected = released(net, INPUTS[inputs], features, H, 16)
    assert a.shape == (3, 1, 16, 16) and torch.allclose(a.double(), expected, atol=2e-6)
    assert expected.std() > 0.02, "an attention that is the same everywhere would prove nothing"


def test_the_inputs_are_the_constant_and_every_convolution_in_order(generator):
    for inputs, names in INPUTS.items():
        assert list(attention(generator, inputs=inputs).inputs) == names


def test_sampling_before_the_convolution_is_sampling_after_it(generator, features):
    net = attention(generator, inputs="all")
    conv, x = net.first[-1], features["32.conv1"]
    with torch.no_grad():
        after = conv(x, H)[:, :, ::2, ::2]
        before = conv(x[:, :, ::2, ::2], H)
        assert torch.allclose(before, after, rtol=0, atol=1e-6)
        full = dict(features) | {"32.conv1": nearest(nearest(x, 16), 32)}
        assert torch.equal(net(full, H), net(features, H)), "only the sampled pixels may be read"


def test_the_prompts_of_one_image_share_its_features(generator, features):
    net = attention(generator)
    one = {name: x[:1] for name, x in features.items()}
    three = {name: x[:1].expand(3, -1, -1, -1) for name, x in features.items()}
    with torch.no_grad():
        assert torch.allclose(net(one, H), net(three, H), atol=1e-6)
        assert not torch.allclose(net(one, H)[0], net(one, H)[1], atol=1e-3)


def test_untrained_attention_is_open_almost_everywhere(generator, features):
    torch.manual_seed(0)
    net = ModulatedAttention(generator, BLEND, H.shape[1], AttentionOptions(inputs="all"))
    with torch.no_grad():
        a = net(features, H)
    assert net.bias.item() == 5 and net.last.weight.shape == (1, 32 * 8)
    assert a.min() > 0.97 and a.max() < 0.9999


def test_released_number_of_parameters():
    """Section 4 counts the live parameters of the 1024 px module with 512 numbers of text."""
    with torch.device("meta"):
        from where2edit.generators.stylegan2 import StyleGAN2

        big = StyleGAN2(1024, 2)
        net = ModulatedAttention(big, "64.conv1", 512, AttentionOptions(inputs="all", channels=32))
    sizes = {name: p.numel() for name, p in net.named_parameters()}
    affines = sum(size for name, size in sizes.items() if ".affine." in name)
    assert (affines, sum(sizes.values()) - affines) == (3_414_528, 195_732 + 1)


def test_noise_acts_in_training_only(generator, features):
    net = attention(generator, noise=True)
    plain = attention(generator, noise=False)
    plain.load_state_dict(net.state_dict())
    with torch.no_grad():
        torch.manual_seed(1)
        noisy = net.train()(features, H)
        torch.manual_seed(1)
        assert torch.equal(noisy, net(features, H)) and not torch.equal(noisy, net(features, H))
        quiet = net.eval()(features, H)
        assert torch.equal(quiet, net(features, H)) and not torch.equal(quiet, noisy)
        assert torch.equal(plain.train()(features, H), quiet), "without the option there is no noise in training either"


@pytest.mark.parametrize("noise", [False, True])
def test_release_trains_everything_that_acts(generator, noise):
    net = attention(generator, noise=noise)
    net.release(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.release()
    idle = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert idle == (set() if noise else {name for name, _ in net.named_parameters() if "noise_strength" in name})


def test_a_missing_input_is_named(generator, features):
    short = {name: x for name, x in features.items() if name != "32.conv1"}
    assert attention(generator, inputs="trunk")(short, H) is not None
    with pytest.raises(ValueError, match="attention reads 32.conv1, which the source lacks; walk"):
        attention(generator, inputs="all")(short, H)


def test_gradients_against_finite_differences():
    net = create(8, 1, seed=0)
    torch.manual_seed(0)
    module = ModulatedAttention(net, "8.conv1", 4, AttentionOptions(inputs="trunk", channels=2)).double()
    with torch.no_grad():
        source = net.source(net.w(net.sample_z([0])))
    small = {name: x.double()[..., :2, :2] for name, x in source.features.items()}
    module.resolution = 2
    h = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    parameters = (module.last.weight, module.first[1].bias, module.first[0].affine.bias)
    assert torch.autograd.gradcheck(lambda h, *_: module(small, h), (h, *parameters), atol=1e-6, fast_mode=True)

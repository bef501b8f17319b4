"""bias_act, upfirdn2d, convolution and modulated_conv: values against small re-statements, derivatives, refusals."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from where2edit.ops import extension
from where2edit.ops import modulated_conv as modulated_convs
from where2edit.ops.bias_act import bias_act
from where2edit.ops.convolution import convolution, unfolded
from where2edit.ops.modulated_conv import demodulation, modulated_conv
from where2edit.ops.upfirdn2d import doubled, setup_fir, upfirdn2d


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def conv_case(transposed=False, kernel=3, batch=3):
    weight = draw(4, 6, kernel, kernel, seed=2)
    return {
        "x": draw(batch, 6, 5, 7, seed=1),
        "weight": weight,
        "style": draw(batch, 6, seed=3) + 1,
        "fir": setup_fir((1, 3, 3, 1)).double() if transposed else None,
        "noise": draw(1, 1, *((10, 14) if transposed else (5, 7)), seed=4),
        "bias": draw(4, seed=5),
    }


def test_bias_act_equals_its_formula_element_by_element():
    x, bias, scale, noise = draw(2, 3, 4, 5), draw(3, seed=1), draw(2, 3, seed=2), draw(1, 1, 4, 5, seed=3)
    y = bias_act(x, bias, scale=scale, noise=noise)
    for b, c, i, j in ((0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 2), (1, 0, 1, 3)):
        v = x[b, c, i, j] * scale[b, c] + noise[0, 0, i, j] + bias[c]
        assert y[b, c, i, j] == pytest.approx((math.sqrt(2) * (v if v > 0 else 0.2 * v)).item(), abs=1e-14)
    assert torch.equal(bias_act(x, activation="linear"), x)
    assert torch.equal(bias_act(draw(2, 3), bias, activation="linear"), draw(2, 3) + bias)


def loop_upfirdn2d(x, fir, up, down, padding, gain):
    """The definition, sample by sample: zeros in between, padding, true convolution, every down-th sample."""
    left, right, top, bottom = padding
    height, width = x.shape[2] * up, x.shape[3] * up
    big = x.new_zeros(*x.shape[:2], height + 40, width + 40)
    big[:, :, 20 : 20 + height : up, 20 : 20 + width : up] = x
    big = big[:, :, 20 - top : 20 + height + bottom, 20 - left : 20 + width + right]
    rows = [
        [(big[:, :, i : i + fir.shape[0], j : j + fir.shape[1]] * fir.flip(0, 1)).sum((2, 3)) * gain for j in columns]
        for columns in [range(0, big.shape[3] - fir.shape[1] + 1, down)]
        for i in range(0, big.shape[2] - fir.shape[0] + 1, down)
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


@pytest.mark.parametrize(
    "up, down, padding", [(1, 1, (1, 1, 1, 1)), (2, 1, (2, 1, 2, 1)), (1, 2, (1, 2, 0, 3)), (3, 2, (-1, 4, 5, -2))]
)
def test_upfirdn2d_equals_its_definition(up, down, padding):
    x, fir = draw(2, 3, 6, 7), draw(4, 3, seed=1)
    found = upfirdn2d(x, fir, up=up, down=down, padding=padding, gain=1.7)
    torch.testing.assert_close(found, loop_upfirdn2d(x, fir, up, down, padding, 1.7), rtol=1e-12, atol=1e-12)


def test_derivatives_of_the_small_operations():
    shapes = [(2, 3, 3, 4), (3,), (2, 3), (3, 4)]
    x, bias, scale, noise = (draw(*shape, seed=9 + i).requires_grad_() for i, shape in enumerate(shapes))
    function = lambda x, bias, scale, noise: bias_act(x, bias, scale=scale, noise=noise)  # noqa: E731
    assert gradcheck(function, (x, bias, scale, noise)) and gradgradcheck(function, (x, bias, scale, noise))
    blur = lambda x: upfirdn2d(x, draw(4, 4, seed=1), up=2, padding=(2, 1, 2, 1))  # noqa: E731
    assert gradcheck(blur, (x,)) and gradgradcheck(blur, (x,))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_scaled_activations_and_folded_weights_equal_modulated_weights(transposed, demodulate, monkeypatch):
    case = conv_case(transposed)
    leaves = [name for name in case if case[name] is not None and name != "fir"]
    results = []
    for impl, folded in (("fast", 2**21), ("fast", 0), ("reference", 0)):
        monkeypatch.setattr(modulated_convs, "FOLDED", folded)
        inputs = {name: case[name].clone().requires_grad_() for name in leaves}
        y = modulated_conv(**{**case, **inputs}, demodulate=demodulate, activation="leaky_relu", impl=impl)
        weight = draw(*y.shape, seed=7)
        results.append([y, *torch.autograd.grad((y * weight).sum(), list(inputs.values()))])
    for folded, scaled, reference in zip(*results, strict=True):
        assert (folded - reference).abs().max() <= 1e-10 and (scaled - reference).abs().max() <= 1e-10
        assert reference.abs().max() > 0.1


def test_modulated_conv_equals_a_re_statement_with_loops():
    case = conv_case()
    y = modulated_conv(**case, activation="leaky_relu")
    for b, o, i, j in ((0, 0, 0, 0), (1, 3, 4, 6), (2, 1, 2, 3)):
        kernel = case["weight"][o] * case["style"][b][:, None, None]
        kernel = kernel / math.sqrt((kernel**2).sum() + 1e-8)
        window = F.pad(case["x"][b], (1, 1, 1, 1))[:, i : i + 3, j : j + 3]
        v = (kernel * window).sum() + case["noise"][0, 0, i, j] + case["bias"][o]
        assert y[b, o, i, j] == pytest.approx((math.sqrt(2) * (v if v > 0 else 0.2 * v)).item(), abs=1e-12)


def test_enlarging_conv_equals_zero_stuffed_conv_then_blur():
    case = conv_case(transposed=True) | {"noise": None, "bias": None}
    stuffed = case["x"].new_zeros(3, 6, 11, 15)
    stuffed[:, :, 1::2, 1::2] = case["x"] * case["style"][:, :, None, None]
    stuffed = F.pad(stuffed, (1, 2, 1, 2))
    full = F.conv2d(stuffed, case["weight"].flip(2, 3))  # 2H+1 rows
    line = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 4
    blurred = F.conv2d(F.pad(full, (1, 1, 1, 1)), line.outer(line).expand(4, 1, 4, 4), groups=4)
    expected = blurred * demodulation(case["weight"], case["style"])[:, :, None, None]
    torch.testing.assert_close(modulated_conv(**case), expected[..., :10, :14], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("folded", [2**21, 0])
def test_modulated_conv_gradcheck(folded, monkeypatch):
    monkeypatch.setattr(modulated_convs, "FOLDED", folded)
    case = conv_case(transposed=True, batch=1)
    inputs = [case[name][:, :3, :3, :3].clone().requires_grad_() for name in ("x", "weight")]
    style = case["style"][:, :3].clone().requires_grad_()
    function = lambda x, weight, style: modulated_conv(x, weight, style, fir=case["fir"])  # noqa: E731
    assert gradcheck(function, (*inputs, style)) and gradgradcheck(function, (*inputs, style))


def test_a_folded_sample_does_not_depend_on_the_batch():
    case = conv_case(transposed=True)
    alone = [modulated_conv(**case | {"x": case["x"][i : i + 1], "style": case["style"][i : i + 1]}) for i in range(3)]
    assert torch.equal(modulated_conv(**case), torch.cat(alone))


def test_a_doubled_picture_is_what_the_filter_makes_of_it():
    x = draw(2, 3, 5, 7).requires_grad_()
    expected = upfirdn2d(x, setup_fir((1, 3, 3, 1)).double(), up=2, padding=(2, 1, 2, 1), gain=4)
    torch.testing.assert_close(doubled(x), expected, rtol=1e-12, atol=1e-12)
    assert gradcheck(doubled, x)


def test_demodulation_does_not_depend_on_the_batch():
    weight, style = draw(32, 512, 3, 3).float(), draw(5, 512).float()
    single = torch.cat([demodulation(weight, style[i : i + 1]) for i in range(5)])
    assert torch.equal(demodulation(weight, style), single)


@pytest.mark.parametrize("kernel, up", [(3, 1), (1, 1), (3, 2)])
def test_unfolded_convolution_is_the_same_operation(kernel, up):
    x, weight = draw(2, 6, 5, 7), draw(4, 6, kernel, kernel, seed=1)
    torch.testing.assert_close(unfolded(x, weight, up), convolution(x, weight, up), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"style": draw(3, 5)}, "style must be [3, 6]"),
        ({"weight": draw(4, 5, 3, 3)}, "weight [O,I,k,k]"),
        ({"weight": draw(4, 6, 2, 2)}, "must be odd"),
        ({"bias": draw(5)}, "bias must be [4]"),
        ({"noise": draw(1, 1, 4, 7)}, "noise must be [5, 7]"),
        ({"fir": draw(3, 3)}, "4x4"),
        ({"impl": "quick"}, "allowed: auto, fast, reference"),
        ({"activation": "relu"}, "allowed: linear, leaky_relu"),
    ],
)
def test_refusals_of_modulated_conv_say_what_is_allowed(change, words):
    with pytest.raises(ValueError) as refusal:
        modulated_conv(**{**conv_case(), **change})
    assert words in str(refusal.value)


def test_upfirdn2d_refuses_an_output_without_pixels():
    with pytest.raises(ValueError, match="pad more"):
        upfirdn2d(draw(1, 1, 2, 2), draw(4, 4))


def test_explicit_fast_raises_with_the_reason_and_auto_does_not():
    x = draw(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"bias_act: impl='fast' cannot run because the tensor is on 'cpu'"):
        bias_act(x, impl="fast")
    with pytest.raises(ValueError, match="upfirdn2d: impl='fast'"):
        upfirdn2d(x, draw(2, 2), impl="fast")
    assert torch.equal(bias_act(x), bias_act(x, impl="reference"))


class OnGpu:
    """Stands in for a tensor on a GPU where there is none; only what `use_fast` looks at."""

    is_cuda, dtype, device = True, torch.float32, "cuda:0"


@pytest.fixture
def fresh_extension(monkeypatch, tmp_path):
    monkeypatch.setattr(extension, "_outcome", [])
    monkeypatch.setattr(extension, "_warned", set())
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "9.0")
    return monkeypatch


def test_without_a_compiler_auto_warns_once_and_fast_says_why(fresh_extension):
    def nothing():
        raise ValueError("no CUDA compiler was found")

    fresh_extension.setattr(extension, "toolkit", nothing)
    with pytest.warns(UserWarning, match="no CUDA compiler was found") as seen:
        assert not extension.use_fast("auto", "bias_act", OnGpu())
        assert not extension.use_fast("auto", "upfirdn2d", OnGpu())
    assert len(seen) == 1
    with pytest.raises(ValueError, match="no CUDA compiler was found"):
        extension.use_fast("fast", "bias_act", OnGpu())


def test_a_failed_build_is_tried_once_and_reported_in_one_line(fresh_extension):
    attempts = []

    def broken(target):
        attempts.append(target)
        raise RuntimeError("Error building extension 'x': [1/2]\nbias_act.cu(3): error: identifier is undefined\nmore")

    fresh_extension.setattr(extension, "build", broken)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"because bias_act.cu\(3\): error: identifier is undefined; use"):
            extension.use_fast("fast", "bias_act", OnGpu())
    assert len(attempts) == 1


def test_toolkit_without_nvcc_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(extension.shutil, "which", lambda name: None)
    monkeypatch.setattr(extension.Path, "is_file", lambda self: False)
    with pytest.raises(ValueError, match="set CUDA_HOME"):
        extension.toolkit()

"""CUDA kernels against plain torch in float64: values, gradients, double backward; and locality on a GPU."""

import pytest
import torch
from torch.autograd import grad, gradcheck, gradgradcheck

from where2edit.commands.benchmarks.leaks import measure_leak
from where2edit.commands.benchmarks.settings import CUDNN_SETTINGS, LOCAL_SETTINGS, Setting
from where2edit.generators.base import Canvas
from where2edit.generators.stylegan2 import create
from where2edit.ops.bias_act import bias_act
from where2edit.ops.modulated_conv import modulated_conv
from where2edit.ops.upfirdn2d import setup_fir, upfirdn2d

DEVICE = "cuda"
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-2, torch.float64: 1e-12}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
FIR = setup_fir((1, 3, 3, 1))


@pytest.fixture(autouse=True)
def full_precision():
    """TF32 would hide errors of the kernels behind its own."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def draw(*shape, dtype, seed, layout="nchw"):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)
    return x.contiguous(memory_format=LAYOUTS[layout]) if x.ndim == 4 else x


def orders(function, inputs, seed=99, positive=False):
    """The output, the gradients of a random pull on it, and the gradients of a random pull on those.

    positive: of the magnitudes of inputs and pulls, so that a sum is that of the magnitudes of its terms.
    """
    sign = torch.abs if positive else torch.positive
    inputs = [sign(x.detach()).requires_grad_() for x in inputs]
    y = function(*inputs)
    pull = sign(torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)).to(y)).requires_grad_()
    first = grad(y, inputs, pull, create_graph=True)
    pulls = [sign(torch.randn(g.shape, generator=torch.Generator().manual_seed(seed + 1)).to(g)) for g in first]
    second = grad(first, [*inputs, pull], pulls, allow_unused=True)
    zeros = (torch.zeros_like(x) for x in (*inputs, pull))
    return [y, *first, *(zero if g is None else g for g, zero in zip(second, zeros, strict=True))]


def assert_twins(fast, reference, inputs, tolerance=None):
    """Three orders of `fast` in its own precision against `reference` in float64, relative to the largest value.

    The inputs are N(0,1), so that a sum that happens to cancel is held to the magnitudes of its terms, and to 1.
    """
    tolerance, exact = tolerance or TOLERANCE[inputs[0].dtype], [x.double() for x in inputs]
    each = zip(orders(fast, inputs), orders(reference, exact), orders(reference, exact, positive=True), strict=True)
    for found, expected, terms in each:
        assert found.shape == expected.shape and found.dtype == inputs[0].dtype
        size = torch.maximum(expected.abs().max().clamp_min(1), terms.abs().max())
        assert (found.double() - expected).abs().max() <= tolerance * size


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 8, 16, 16), (3, 16, 9, 9), (1, 1, 4, 4), (2, 5, 1, 1)], ids=str)
@pytest.mark.parametrize("activation", ["linear", "leaky_relu"])
def test_bias_act(dtype, layout, shape, activation):
    b, c, h, w = shape
    shapes = [(c,), (b, c), (1, 1, h, w)]
    inputs = [draw(*shape, dtype=dtype, seed=0, layout=layout)]
    inputs += [draw(*s, dtype=dtype, seed=1 + i) for i, s in enumerate(shapes)]

    def run(impl):
        return lambda x, bias, scale, noise: bias_act(
            x, bias, scale=scale, noise=noise, activation=activation, impl=impl
        )

    assert_twins(run("fast"), run("reference"), inputs)
    assert_twins(
        lambda x, bias: bias_act(x, bias, impl="fast"), lambda x, bias: bias_act(x, bias, impl="reference"), inputs[:2]
    )
    kept = run("fast")(*inputs)
    assert kept.stride() == inputs[0].stride() and kept.dtype == dtype


def test_bias_act_of_vectors():
    inputs = [draw(7, 12, dtype=torch.float32, seed=0), draw(12, dtype=torch.float32, seed=1)]
    assert_twins(lambda x, b: bias_act(x, b, impl="fast"), lambda x, b: bias_act(x, b, impl="reference"), inputs)


def test_a_view_that_is_not_aligned_or_not_dense_is_read_right():
    storage = draw(1, 1, 1, 4 * 64 + 1, dtype=torch.float32, seed=0).flatten()
    images = storage[:-1].view(1, 4, 8, 8)
    for x in (storage[1:].view(1, 4, 8, 8), images[:, :, ::2, 1:], images.mT):
        assert_twins(lambda x: bias_act(x, impl="fast"), lambda x: bias_act(x, impl="reference"), [x])
        assert torch.equal(bias_act(x, impl="fast"), bias_act(x.contiguous(), impl="fast"))


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize(
    "up, down, padding, size",
    [(1, 1, (1, 1, 1, 1), 4), (2, 1, (2, 1, 2, 1), 4), (1, 2, (1, 2, 0, 3), 4), (3, 2, (-1, 4, 5, -2), 5)],
)
@pytest.mark.parametrize("shape", [(2, 3, 9, 13), (1, 8, 17, 17), (1, 1, 5, 5)], ids=str)
def test_upfirdn2d(dtype, layout, up, down, padding, size, shape):
    fir = FIR.to(DEVICE) if size == 4 else draw(size, size - 2, dtype=torch.float64, seed=3)
    x = draw(*shape, dtype=dtype, seed=0, layout=layout)

    def run(impl):
        return lambda x: upfirdn2d(x, fir, up=up, down=down, padding=padding, gain=1.5, impl=impl)

    assert_twins(run("fast"), run("reference"), [x])


def test_derivatives_numerically():
    arguments = {"dtype": torch.float64}
    x, bias = draw(2, 3, 4, 5, seed=0, **arguments).requires_grad_(), draw(3, seed=1, **arguments).requires_grad_()
    scale, noise = draw(2, 3, seed=2, **arguments).requires_grad_(), draw(4, 5, seed=3, **arguments).requires_grad_()
    epilogue = lambda x, bias, scale, noise: bias_act(x, bias, scale=scale, noise=noise, impl="fast")  # noqa: E731
    assert gradcheck(epilogue, (x, bias, scale, noise)) and gradgradcheck(epilogue, (x, bias, scale, noise))
    blur = lambda x: upfirdn2d(x, FIR.to(DEVICE), up=2, padding=(2, 1, 2, 1), impl="fast")  # noqa: E731
    assert gradcheck(blur, (x,)) and gradgradcheck(blur, (x,))


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("enlarging", [False, True])
def test_a_whole_layer(local, enlarging):
    inputs = [draw(2, 6, 8, 8, dtype=torch.float32, seed=0), draw(4, 6, 3, 3, dtype=torch.float32, seed=1)]
    size = 16 if enlarging else 8
    inputs += [draw(*s, dtype=torch.float32, seed=2 + i) for i, s in enumerate([(2, 6), (1, 1, size, size), (4,)])]

    def run(**how):
        def layer(x, weight, style, noise, bias):
            fir = FIR.to(DEVICE) if enlarging else None
            operands = {"fir": fir, "noise": noise, "bias": bias, "activation": "leaky_relu"}
            return modulated_conv(x, weight, style, **operands, **how)

        return layer

    fast, reference = run(impl="fast", kernels="fast", local=local), run(impl="reference", kernels="reference")
    assert_twins(fast, reference, inputs, tolerance=1e-4)  # the rounding of cuDNN's convolution, Winograd's too


def test_more_than_two_to_the_thirty_values():
    if torch.cuda.mem_get_info()[0] < 40 * 2**30:
        pytest.skip("needs 40 GiB of free GPU memory")
    x = torch.randn(1, 3, 20000, 20000, device=DEVICE, dtype=torch.float16)
    bias = draw(3, dtype=torch.float16, seed=0)
    fir = FIR.to(DEVICE)
    activated, blurred = bias_act(x, bias, impl="fast"), upfirdn2d(x, fir, padding=(2, 1, 2, 1), impl="fast")
    corner = x[:, 2:, -64:]
    blurred_corner = upfirdn2d(corner, fir, padding=(2, 1, 2, 1), impl="reference")
    activated_corner = bias_act(corner, bias[2:], impl="reference")
    for found, part in ((activated, activated_corner), (blurred, blurred_corner)):
        torch.testing.assert_close(found[:, 2:, -40:], part[:, :, -40:], rtol=1e-2, atol=1e-2)


@pytest.fixture(scope="module")
def generator():
    return create(256, seed=1).to(DEVICE)


@pytest.fixture(scope="module")
def styles(generator):
    with torch.no_grad():
        return generator.styles(generator.w(generator.sample_z(range(2))))


def computing(generator, **how):
    for key, value in {"impl": "auto", "kernels": "auto", "local": True, **how}.items():
        setattr(generator.arithmetic, key, value)


@torch.no_grad()
def test_whole_synthesis_with_and_without_kernels(generator, styles):
    computing(generator, kernels="reference")
    reference = generator.synthesis(styles)
    computing(generator, kernels="fast")
    fast = generator.synthesis(styles)
    assert (fast - reference).abs().max() <= 1e-4 * reference.abs().max()
    assert torch.equal(fast, generator.synthesis(styles))
    on_cpu = create(256, seed=1).synthesis({name: style.cpu() for name, style in styles.items()})
    assert (fast.cpu() - on_cpu).abs().max() <= 1e-3 * on_cpu.abs().max()


@pytest.mark.parametrize("kernels", ["reference", "fast"])
@pytest.mark.parametrize("how", list(LOCAL_SETTINGS))
def test_local_arithmetic_leaks_nothing_for_20_masks(generator, how, kernels):
    leak = measure_leak(generator, LOCAL_SETTINGS[how], kernels=kernels)
    assert leak.largest == 0 and leak.touched == 0 and leak.inside > 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("tf32", [False, True])
def test_checked_arithmetic_leaks_nothing_for_100_masks(generator, dtype, tf32):
    leak = measure_leak(generator, Setting(local="checked", tf32=tf32, channels_last=True, dtype=dtype), masks=100)
    assert leak.largest == 0 and leak.touched == 0 and leak.inside > 0.01


@pytest.mark.parametrize("how", list(CUDNN_SETTINGS))
def test_what_cudnn_leaks_is_rounding(generator, how, capsys):
    """No promise is made here, so that only the size is held; the figures belong into docs/benchmarks.md."""
    leak = measure_leak(generator, CUDNN_SETTINGS[how])
    with capsys.disabled():
        print(f"\nleak with {how}: largest {leak.largest:.2e}, {leak.touched:.2%} of the pixels outside")
    assert leak.largest < leak.inside and leak.inside > 0.01


@torch.no_grad()
@pytest.mark.parametrize("local", [True, "checked"])
def test_the_local_tail_does_not_depend_on_the_batch(generator, local):
    computing(generator, local=local)
    source = generator.source(generator.w(generator.sample_z(range(3))))
    canvas = Canvas(source.features["64.conv1"], source.rgb["64.rgb"])
    together = generator.tail(canvas, source.styles, "64.rgb")
    for i in range(3):
        one = source.take([i])
        alone = generator.tail(Canvas(one.features["64.conv1"], one.rgb["64.rgb"]), one.styles, "64.rgb")
        assert torch.equal(alone, together[i : i + 1])

"""MobileStyleGAN: its constants are read right, and it equals the OpenVINO run of the same IR."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from where2edit.core.config import build_section
from where2edit.files import assets
from where2edit.files.formats.openvino_ir import Graph
from where2edit.generators import GENERATORS
from where2edit.generators.base import GeneratorConfig
from where2edit.ops.haar import inverse_haar


@pytest.fixture(scope="module")
def generator():
    return GENERATORS.get("mobilestylegan")()


def haar_by_loop(x, channels):
    """The inverse transform written out pixel by pixel: each band adds +-1/2 of itself to four output pixels."""
    batch, _, height, width = x.shape
    out = np.zeros((batch, channels, 2 * height, 2 * width))
    for c in range(channels):
        low = x[:, c]
        lh, hl, hh = (x[:, channels + 3 * c + band] for band in range(3))
        for row, sign_y in enumerate((1, -1)):
            for column, sign_x in enumerate((1, -1)):
                out[:, c, row::2, column::2] = (low + sign_y * lh + sign_x * hl + sign_x * sign_y * hh) / 2
    return out


def test_inverse_haar_is_the_transform_written_out():
    x = torch.randn(2, 12, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for each in (x, x.contiguous(memory_format=torch.channels_last)):
        for impl in ("reference", "fast"):
            np.testing.assert_allclose(inverse_haar(each, 3, impl).numpy(), haar_by_loop(x.numpy(), 3), atol=1e-12)


def test_the_gradient_of_inverse_haar_is_that_of_the_reference():
    x = torch.randn(1, 8, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: inverse_haar(x, 2), x)


def test_sites_and_their_reach(generator):
    assert [site.name for site in generator.sites[:4]] == ["4.conv1", "8.up", "8.conv0", "8.conv1"]
    assert len(generator.sites) == generator.num_w == 23
    assert generator.halo("64.conv1") == 28
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_another_resolution_is_refused():
    with pytest.raises(ValueError, match="unknown key 'generator.options.resolution'"):
        build_section(GENERATORS, GeneratorConfig(options={"resolution": 512}), "generator")


def test_faces_differ_by_seed_and_are_the_same_again(generator):
    """Down to 64 px only, which is quick; the contracts look at whole images."""
    walk = lambda seeds: generator.source(generator.w(generator.sample_z(seeds)), upto="64.conv1").features["64.conv1"]  # noqa: E731
    first = walk([0, 1])
    assert torch.equal(first, walk([0, 1]))
    assert (first[0] - first[1]).abs().mean() > 0.05


def test_a_graph_without_the_constant_is_refused():
    graph = Graph(assets.fetch("mobilestylegan-mapping-xml"), assets.fetch("mobilestylegan-mapping-bin"))
    with pytest.raises(ValueError, match="no constant 'm.input.input'"):
        graph.named("m.input.input")


def test_a_truncated_blob_is_refused(tmp_path):
    blob = tmp_path / "half.bin"
    blob.write_bytes(assets.fetch("mobilestylegan-mapping-bin").read_bytes()[:100_000])
    with pytest.raises(ValueError, match="truncated"):
        Graph(assets.fetch("mobilestylegan-mapping-xml"), blob)


@pytest.mark.slow
def test_equals_the_openvino_run_of_the_same_graph(generator):
    """Max difference of a 1024 px image at most 1e-3 on three seeds, in fp32."""
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    networks = []
    for part in ("mapping", "synthesis"):
        model = core.read_model(assets.fetch(f"mobilestylegan-{part}-xml"), assets.fetch(f"mobilestylegan-{part}-bin"))
        networks.append(core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}))
    mapping, synthesis = networks
    for seed in range(3):
        z = generator.sample_z([seed])
        w = torch.from_numpy(np.array(mapping(z.numpy())[0]))
        torch.testing.assert_close(generator.mapping(z), w, atol=1e-4, rtol=0)
        reference = torch.from_numpy(np.array(synthesis(w.numpy())[0]))
        ours = generator.synthesis(generator.styles(w[:, None].expand(-1, generator.num_w, -1)))
        assert (ours - reference).abs().max() <= 1e-3

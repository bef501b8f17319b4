"""Official networks in whatever wrapping people have them: prefixes, sections, extra entries, other precisions."""

import official_files as official
import pytest
import torch

from where2edit.files import formats
from where2edit.generators import stylegan2 as generators

TREE = official.stylegan2_rosinality(8)
STATE, MEAN = TREE["g_ema"], TREE["latent_avg"]


def prefixed(state):
    return {f"module.{name}": value for name, value in state.items()}


def cast(dtype):
    return {name: value.to(dtype) for name, value in STATE.items()}


WRAPPED = {
    "g_ema": {"g_ema": STATE, "latent_avg": MEAN},
    "g_ema of many GPUs": {"g_ema": prefixed(STATE), "latent_avg": MEAN},
    "g_ema beside a training": TREE | {"epoch": 3, "iteration": 100, "lr": 0.002, "best_fid": 2.8},
    "generator": {"generator": STATE, "latent_avg": MEAN},
    "state_dict": {"state_dict": STATE, "latent_avg": MEAN, "epoch": 3},
    "bare": STATE,
    "bare, of many GPUs": prefixed(STATE),
    "bare, with an epoch": STATE | {"epoch": 3},
    "half precision": {"g_ema": cast(torch.float16), "latent_avg": MEAN},
    "bfloat16": {"g_ema": cast(torch.bfloat16), "latent_avg": MEAN},
    "double precision": {"g_ema": cast(torch.float64), "latent_avg": MEAN.double()},
    "a mean in a row": {"g_ema": STATE, "latent_avg": MEAN[None]},
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("case", WRAPPED)
def test_a_generator_is_found_in_every_wrapping(case, zipped, tmp_path):
    torch.save(WRAPPED[case], tmp_path / "official.pt", _use_new_zipfile_serialization=zipped)
    tensors, sizes = formats.get("stylegan2-rosinality").convert(tmp_path / "official.pt")
    assert sizes["resolution"] == "8" and "mapping_layers" not in sizes and len(tensors) == 44
    assert all(value.dtype in (torch.float32, torch.float16) for value in tensors.values())
    assert ("w_mean" in sizes) == ("bare" in case), "a bare generator has no mean; it is computed"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"strange": 1}, "holds 'strange' beside 'g_ema'"),
        ({"g_ema": prefixed(STATE) | {"bare": MEAN}}, "'bare' without the prefix 'module.'"),
        ({"g_ema": [STATE]}, "does not hold a StyleGAN2 generator"),
        ({"g_ema": {1: MEAN}}, "expected a mapping of names"),
        ({"g_ema": STATE | {"style.1.bias": [0.0] * 512}}, "'style.1.bias' as list, expected a tensor"),
        ({"g_ema": STATE | {"style.1.bias": torch.zeros(512, dtype=torch.int64)}}, "'style.1.bias' as int64"),
        ({"g_ema": STATE | {"style.1.bias": torch.zeros(512, dtype=torch.complex64)}}, "'style.1.bias' as complex64"),
        ({"g_ema": STATE | {"style.1.bias": torch.full((512,), float("nan"))}}, "not finite in 'style.1.bias'"),
        ({"g_ema": STATE | {"style.999999999.weight": torch.zeros(2)}}, "holds 'style.999999999.weight'"),
        ({"g_ema": STATE | {"style.200.weight": torch.zeros(2)}}, "lacks 'style.9.weight'"),
        ({"g_ema": STATE | {"convs.99999999.conv.weight": torch.zeros(2)}}, "holds 'convs.99999999.conv.weight'"),
        ({"latent_avg": torch.full((512,), float("inf"))}, "not finite in 'latent_avg'"),
        ({"latent_avg": "mean"}, "'latent_avg' str"),
    ],
)
def test_what_is_no_generator_is_refused_by_the_name_of_the_fault(change, words, tmp_path):
    torch.save(TREE | change, tmp_path / "official.pt")
    with pytest.raises(ValueError, match=words) as caught:
        formats.get("stylegan2-rosinality").convert(tmp_path / "official.pt")
    assert "official.pt" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["rosinality", "nvidia"])
def test_a_mapping_network_of_two_layers_is_converted_and_computes(layout, tmp_path, monkeypatch):
    """As small networks of stylegan2-ada-pytorch have it."""
    if layout == "rosinality":
        tree = official.stylegan2_rosinality(8, seed=1)
        later = tuple(f"style.{i}." for i in range(3, 9))
        tree["g_ema"] = {name: value for name, value in tree["g_ema"].items() if not name.startswith(later)}
        torch.save(tree, tmp_path / "official.pt")
        first = tree["g_ema"]["style.1.weight"]
    else:
        parameters, buffers = official.stylegan2_nvidia(8, seed=1)
        parameters = {
            n: v for n, v in parameters.items() if not n.startswith(tuple(f"mapping.fc{i}" for i in range(2, 8)))
        }
        official.write_nvidia(tmp_path / "official.pt", parameters, buffers, monkeypatch)
        first = parameters["mapping.fc0.weight"]
    path = formats.convert(f"stylegan2-{layout}", tmp_path / "official.pt", tmp_path / "ours.safetensors")
    generator = generators.load(path)
    assert len(generator.mapping_network) == 2 and torch.equal(generator.mapping_network[0].weight, first)
    w = generator.mapping(generator.sample_z([0]))
    assert w.shape == (1, 512) and w.isfinite().all()


@pytest.mark.parametrize(
    "wrap", [prefixed, lambda state: {"state_dict": state, "epoch": 1}, lambda state: {"model": state}]
)
@pytest.mark.parametrize("kind", ["arcface-ir-se50", "clip", "where2edit"])
def test_other_networks_are_found_too(kind, wrap, tmp_path):
    small = {"width": 64, "text": 64, "layers": 1, "patch": 8, "grid": 4, "tokens": 12, "words": 50, "joint": 32}
    states = {"arcface-ir-se50": official.arcface(official.SMALL_WIDTHS), "clip": official.clip(**small)}
    state = states.get(kind) or official.released_mapper(wrapped=False)
    found = []
    for number, tree in enumerate((dict(state), wrap(dict(state)))):
        torch.save(tree, tmp_path / f"{number}.pt")
        found.append(formats.get(kind).convert(tmp_path / f"{number}.pt")[0])
    assert found[0].keys() == found[1].keys() and len(found[0]) > 20


def test_a_file_is_not_converted_onto_itself(tmp_path):
    source = tmp_path / "official.safetensors"
    torch.save(official.arcface(official.SMALL_WIDTHS), source)
    before = source.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(source)
    for target in (source, tmp_path / "link.safetensors", tmp_path / "." / "official.safetensors"):
        with pytest.raises(ValueError, match="both the official file and the output"):
            formats.convert("arcface-ir-se50", source, target)
    assert source.read_bytes() == before

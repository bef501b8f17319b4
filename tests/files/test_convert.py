"""Official formats: every tensor is accounted for, what comes out computes the same, what is wrong is refused unrun."""

import io
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import official_files as official
import pytest
import torch
import torch.nn.functional as F
from hostile_cases import call, refused

from where2edit.backbones.facenet import FaceNet
from where2edit.core.config import build_section
from where2edit.core.records import Condition, Source
from where2edit.editing.masks import BlendingConfig
from where2edit.editing.regions import Regions
from where2edit.editor.weights import load_editor
from where2edit.files import formats, manifest, tensorfile
from where2edit.files.formats import readers, stylegan2
from where2edit.generators import GENERATORS
from where2edit.generators import stylegan2 as generators
from where2edit.generators.base import GeneratorConfig
from where2edit.methods import METHODS
from where2edit.methods.base import Frozen, MethodConfig


def small_clip(seed=None):
    sizes = {"width": 64, "text": 64, "layers": 2, "patch": 8, "grid": 4, "tokens": 12, "words": 50, "joint": 32}
    return official.clip(**sizes, seed=seed)


def write_pt(tree, path):
    torch.save(tree, path)
    return path


# Kind -> (state dict of full official size, how it is laid into a file of the official layout).
def cases():
    parameters, buffers = official.stylegan2_nvidia(1024)
    nvidia = parameters | buffers

    def as_nvidia(state, path, monkeypatch):
        split = [{n: v for n, v in state.items() if (n in buffers) == kind} for kind in (False, True)]
        return official.write_nvidia(path, *split, monkeypatch)

    rosinality, e4e = official.stylegan2_rosinality(), official.e4e()
    return {
        "stylegan2-rosinality": (rosinality["g_ema"], lambda s, p, m: write_pt(rosinality | {"g_ema": s}, p)),
        "stylegan2-nvidia": (nvidia, as_nvidia),
        "e4e": (e4e["state_dict"], lambda s, p, m: write_pt(e4e | {"state_dict": s}, p)),
        "arcface-ir-se50": (official.arcface(), lambda s, p, m: write_pt(s, p)),
        "facenet": (official.facenet(), lambda s, p, m: write_pt(s, p)),
        "clip": (official.clip(), lambda s, p, m: write_pt(s, p)),
        "where2edit": (official.released_mapper(), lambda s, p, m: write_pt(s, p)),
    }


CASES = cases()
COUNTS = {  # tensors and numbers of the converted networks, as published or as the reference implementations count them
    "stylegan2-rosinality": (156, 30_370_060 + 2_796_176 + 512),  # parameters, noise maps, w_mean
    "stylegan2-nvidia": (156, 30_370_060 + 2_796_176 + 512),
    "where2edit": (208, 18_378_752 + 3_610_261),
}
OPTIONAL = ("kernel", "resample_filter", "num_batches_tracked", "logits", "textca_0.fc", "modulation", "decoder")


@pytest.mark.parametrize("kind", CASES)
def test_a_full_size_file_converts_and_every_name_is_used(kind, tmp_path, monkeypatch):
    state, lay = CASES[kind]
    tensors, _ = formats.get(kind).convert(lay(state, tmp_path / "official", monkeypatch))
    if kind in COUNTS:
        assert (len(tensors), sum(value.numel() for value in tensors.values())) == COUNTS[kind]
    kept = [name for name in state if not name.endswith("num_batches_tracked")]
    assert len(tensors) >= 0.7 * len(kept)


def mutations(state):
    """A name that must be there, spread over the file: first, last and some between."""
    needed = [name for name in state if not any(word in name for word in OPTIONAL) or "conv.modulation" in name]
    needed = [name for name in needed if "attention_" not in name or "modulation" not in name]
    needed = [name for name in needed if "mapper_textca" not in name and name not in stylegan2.TRAINING_ONLY]
    needed = [name for name in needed if name not in ("input_resolution", "context_length", "vocab_size")]
    return [needed[0], needed[len(needed) // 3], needed[len(needed) // 2], needed[-1]]


@pytest.mark.parametrize("kind", CASES)
def test_a_missing_renamed_wrong_or_strange_tensor_is_refused_by_its_name(kind, tmp_path, monkeypatch):
    state, lay = CASES[kind]
    convert, file = formats.get(kind).convert, tmp_path / "official"
    shown = lambda name: name.removeprefix("module.")  # noqa: E731
    for name in mutations(state):
        rest = {key: value for key, value in state.items() if key != name}
        with pytest.raises(ValueError, match=rf"official lacks '{shown(name)}'"):
            convert(lay(rest, file, monkeypatch))
        with pytest.raises(ValueError, match=rf"lacks '{shown(name)}'.*holds '{shown(name)}_old'"):
            convert(lay(rest | {f"{name}_old": state[name]}, file, monkeypatch))
        with pytest.raises(ValueError, match=rf"(?s)'{shown(name)}'.*\[.*but .* has \["):
            convert(lay(rest | {name: torch.zeros(3, 5, 2)}, file, monkeypatch))
    first = "module.strange" if kind == "where2edit" else "strange"
    with pytest.raises(ValueError, match="official holds 'strange'"):
        convert(lay(state | {first: torch.zeros(2)}, file, monkeypatch))


class Malicious:
    """Unpickled by the standard library it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def harmful_files(folder, target, monkeypatch):
    """Files of every container that an official format uses, each with something in it that would run."""
    bad = Malicious(target)
    yield "pt", write_pt({"g_ema": {"input.input": bad}, "state_dict": bad}, folder / "zip.pt")
    legacy = folder / "legacy.pt"
    torch.save({"g_ema": bad}, legacy, _use_new_zipfile_serialization=False)
    yield "pt", legacy
    (folder / "plain.pt").write_bytes(pickle.dumps(bad))
    yield "pt", folder / "plain.pt"
    for name, extra in {"top": {"G_ema": bad}, "beside": {"D": bad}}.items():
        yield "pkl", official.write_nvidia(folder / f"{name}.pkl", {}, {}, monkeypatch, **extra)
    inner = io.BytesIO()
    torch.save(bad, inner, _use_new_zipfile_serialization=False)
    data = inner.getvalue()
    body = b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + len(data).to_bytes(4, "little") + data + b"\x85R."
    (folder / "storage.pkl").write_bytes(body)
    yield "pkl", folder / "storage.pkl"
    script = official.torchscript(small_clip(0), folder / "good.pt")
    with zipfile.ZipFile(script) as good, zipfile.ZipFile(folder / "script.pt", "w") as archive:
        for name in good.namelist():
            archive.writestr(name, pickle.dumps(bad, 2) if name.endswith("/data.pkl") else good.read(name))
    yield "script", folder / "script.pt"


READS = {
    "pt": ("stylegan2-rosinality", "e4e", "arcface-ir-se50", "facenet", "clip", "where2edit", "where2edit-regions"),
    "pkl": ("stylegan2-nvidia",),
    "script": ("clip",),
}


def test_a_malicious_file_of_any_kind_is_refused_unrun(tmp_path, monkeypatch):
    target = tmp_path / "made_by_the_file"
    assert set().union(*READS.values()) == set(formats.FORMATS)
    for container, path in harmful_files(tmp_path, target, monkeypatch):
        for kind in READS[container]:
            with pytest.raises(ValueError, match="nothing of it was run|nothing was run"):
                formats.get(kind).convert(path)
            assert not target.exists(), f"{kind} ran {path.name}"
        if path.name == "zip.pt":
            torch.load(path, weights_only=False)
            assert target.exists(), "the sample must be harmful, or this test cannot fail"
            target.rmdir()
        if path.name == "storage.pkl":
            pickle.loads(path.read_bytes())
            assert target.exists(), "the sample must be harmful, or this test cannot fail"
            target.rmdir()


def test_torchscript_is_read_without_torch_jit(tmp_path, monkeypatch):
    state = small_clip(3)
    path = official.torchscript(state, tmp_path / "clip.pt")
    monkeypatch.setattr(torch.jit, "load", None)
    found = readers.read_torchscript(path)
    assert found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)


def double(state):
    return {name: value.double() if value.is_floating_point() else value for name, value in state.items()}


def synthesis(layers, constant, styles):
    """Independent StyleGAN2 synthesis with modulated weights; `layers` in order, each a dict of plain tensors."""
    x, rgb = constant.expand(len(styles[0]), -1, -1, -1), None
    for layer, style in zip(layers, styles, strict=True):
        batch, (outputs, inputs, k, _) = len(x), layer["weight"].shape
        weight = layer["weight"] * layer["gain"] * style[:, None, :, None, None]
        if layer["role"] != "rgb":
            weight = weight / (weight.square().sum((2, 3, 4), keepdim=True) + layer["epsilon"]).sqrt()
        flat = x.reshape(1, batch * inputs, *x.shape[2:])
        if layer["role"] == "conv0":
            grouped = weight.transpose(1, 2).reshape(batch * inputs, outputs, k, k)
            y = F.conv_transpose2d(flat, grouped, stride=2, groups=batch)
            y = y.reshape(batch * outputs, 1, *y.shape[2:])
            y = F.conv2d(F.pad(y, (1, 1, 1, 1)), official.blur(4.0).double()[None, None])
        else:
            y = F.conv2d(flat, weight.reshape(batch * outputs, inputs, k, k), padding=k // 2, groups=batch)
        y = y.reshape(batch, outputs, *y.shape[-2:])
        if layer["role"] == "rgb":
            y = y + layer["bias"].view(1, 3, 1, 1)
            if rgb is not None:
                up = torch.zeros(batch, 3, *(2 * n for n in rgb.shape[2:]), dtype=rgb.dtype)
                up[:, :, ::2, ::2] = rgb
                up = F.conv2d(F.pad(up, (2, 1, 2, 1)), official.blur(4.0).double().expand(3, 1, 4, 4), groups=3)
                y = y + up
            rgb = y
        else:
            x = F.leaky_relu(y + layer["noise"] + layer["bias"].view(1, -1, 1, 1), 0.2) * 2**0.5
    return rgb


def rosinality_image(tree, w):
    """The re-stated image [B,3,8,8] of a rosinality file of 8 px from its own names."""
    g, layers, styles = double(tree["g_ema"]), [], []
    order = [("conv1", "conv1", 0), ("to_rgb1", "rgb", None), ("convs.0", "conv0", 1), ("convs.1", "conv1", 2)]
    for name, role, noise in [*order, ("to_rgbs.0", "rgb", None)]:
        weight = g[f"{name}.conv.weight"][0]
        layer = {"role": role, "weight": weight, "gain": weight[0].numel() ** -0.5, "epsilon": 1e-8}
        layer["bias"] = g[f"{name}.bias" if role == "rgb" else f"{name}.activate.bias"]
        layer["noise"] = 0 if role == "rgb" else g[f"noises.noise_{noise}"] * g[f"{name}.noise.weight"]
        styles.append(w @ g[f"{name}.conv.modulation.weight"].T / 512**0.5 + g[f"{name}.conv.modulation.bias"])
        layers.append(layer)
    return synthesis(layers, g["input.input"], styles)


def nvidia_image(state, w, epsilon_per_input):
    """The re-stated image of an NVIDIA network of 8 px: demodulated weights have no run-time scale there."""
    g, layers, styles = double(state), [], []
    blocks = {"b4": ("conv1", "torgb"), "b8": ("conv0", "conv1", "torgb")}
    for stem, role in ((f"synthesis.{block}.{role}", role) for block, roles in blocks.items() for role in roles):
        role = "rgb" if role == "torgb" else role
        weight = g[f"{stem}.weight"]
        gain = weight[0].numel() ** -0.5 if role == "rgb" else 1.0
        layer = {"role": role, "weight": weight, "gain": gain, "bias": g[f"{stem}.bias"]}
        layer["epsilon"] = 1e-8 * weight[0].numel() if epsilon_per_input else 1e-8
        layer["noise"] = 0 if role == "rgb" else g[f"{stem}.noise_const"] * g[f"{stem}.noise_strength"]
        styles.append(w @ g[f"{stem}.affine.weight"].T / 512**0.5 + g[f"{stem}.affine.bias"])
        layers.append(layer)
    return synthesis(layers, g["synthesis.b4.const"][None], styles)


def mapped(weights, biases, z):
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for weight, bias in zip(weights, biases, strict=True):
        x = F.leaky_relu(x @ (weight * 0.01).T / 512**0.5 + bias * 0.01, 0.2) * 2**0.5
    return x


def test_rosinality_round_trip_gives_the_re_stated_image(tmp_path):
    tree = official.stylegan2_rosinality(8, seed=1)
    source = write_pt(tree, tmp_path / "official.pt")
    path = formats.convert("stylegan2-rosinality", source, tmp_path / "ours.safetensors")
    generator = generators.load(path).double()
    draw = torch.Generator().manual_seed(0)
    w, z = (torch.randn(2, 512, generator=draw, dtype=torch.float64) for _ in range(2))
    image = generator.synthesis(generator.styles(w[:, None].expand(-1, generator.num_w, -1)))
    torch.testing.assert_close(image, rosinality_image(tree, w), rtol=1e-8, atol=1e-8)
    g = double(tree["g_ema"])
    expected = mapped([g[f"style.{i}.weight"] for i in range(1, 9)], [g[f"style.{i}.bias"] for i in range(1, 9)], z)
    torch.testing.assert_close(generator.mapping(z), expected, rtol=1e-8, atol=1e-8)
    assert torch.equal(generator.w_mean.float(), tree["latent_avg"])
    metadata = tensorfile.read(path)[1]
    assert metadata["kind"] == "stylegan2-rosinality" and "NVIDIA" in metadata["licence"]
    assert metadata["resolution"] == "8" and len(metadata["source_sha256"]) == 64
    with torch.no_grad():
        generator.synthesis_network["8"]["conv0"].weight.mul_(1 + 1e-6)
        generator.synthesis_network["8"]["rgb"].bias.add_(1e-6)
    changed = generator.synthesis(generator.styles(w[:, None].expand(-1, generator.num_w, -1)))
    assert (changed - rosinality_image(tree, w)).abs().max() > 1e-8


def test_nvidia_round_trip_gives_the_re_stated_image(tmp_path, monkeypatch):
    parameters, buffers = official.stylegan2_nvidia(8, seed=2)
    source = official.write_nvidia(tmp_path / "official.pkl", parameters, buffers, monkeypatch)
    generator = generators.load(formats.convert("stylegan2-nvidia", source, tmp_path / "ours.safetensors")).double()
    w = torch.randn(2, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image = generator.synthesis(generator.styles(w[:, None].expand(-1, generator.num_w, -1)))
    torch.testing.assert_close(image, nvidia_image(parameters | buffers, w, True), rtol=1e-8, atol=1e-8)
    # NVIDIA adds its 1e-8 before the weights are scaled, ours after; nothing else differs.
    torch.testing.assert_close(image, nvidia_image(parameters | buffers, w, False), rtol=0, atol=1e-6)
    assert torch.equal(generator.w_mean.float(), buffers["mapping.w_avg"])


def test_a_generator_file_without_mean_or_noise_gets_seeded_ones_and_says_so(tmp_path):
    tree = official.stylegan2_rosinality(8, seed=1)
    del tree["latent_avg"]
    tree["g_ema"] = {name: value for name, value in tree["g_ema"].items() if not name.startswith("noises.")}
    tensors, sizes = formats.get("stylegan2-rosinality").convert(write_pt(tree, tmp_path / "official.pt"))
    assert "seed 0" in sizes["noise"] and "seed 0" in sizes["w_mean"]
    noise = tensors["synthesis_network.8.conv1.noise"]
    assert noise.shape == (1, 1, 8, 8) and 0.5 < noise.std() < 1.5
    z = torch.randn(4096, 512, generator=torch.Generator().manual_seed(0))
    weights, biases = ([tensors[f"mapping_network.{i}.{name}"] for i in range(8)] for name in ("weight", "bias"))
    torch.testing.assert_close(tensors["w_mean"], mapped(weights, biases, z).mean(0), rtol=1e-4, atol=1e-5)


def test_a_generator_with_another_blur_is_refused(tmp_path):
    tree = official.stylegan2_rosinality(8)
    tree["g_ema"]["to_rgbs.0.upsample.kernel"] = torch.ones(4, 4) / 4
    with pytest.raises(ValueError, match=r"to_rgbs.0.upsample.kernel' other than the blur \[1,3,3,1\]"):
        formats.get("stylegan2-rosinality").convert(write_pt(tree, tmp_path / "official.pt"))


def test_facenet_round_trip_equals_the_official_network(tmp_path):
    from facenet_pytorch import InceptionResnetV1

    state = official.facenet(seed=3)
    for name, value in state.items():
        if name.endswith("conv.weight"):
            value.mul_((2 / value[0].numel()) ** 0.5)
    reference = InceptionResnetV1().eval().double()
    reference.load_state_dict({name: value for name, value in state.items() if not name.startswith("logits.")})
    source = write_pt(state, tmp_path / "official.pt")
    path = formats.convert("facenet", source, tmp_path / "facenet.safetensors")
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    images = F.interpolate(images, (160, 160))
    with torch.no_grad():
        expected = reference(images * (127.5 / 128))
        for given in (path, source):
            found = FaceNet.load("vggface2", align="none", path=given).double()(images)
            torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def clip_tower(state, prefix, x, heads, mask=None):
    """Independent pre-norm transformer with QuickGELU: x [B,T,W]."""
    ln = lambda x, name: F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])  # noqa: E731
    for i in range(2):
        block = f"{prefix}.resblocks.{i}"
        qkv = ln(x, f"{block}.ln_1") @ state[f"{block}.attn.in_proj_weight"].T + state[f"{block}.attn.in_proj_bias"]
        q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in qkv.chunk(3, 2))
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        mixed = (scores if mask is None else scores + mask).softmax(-1) @ v
        out = mixed.transpose(1, 2).flatten(2)
        x = x + out @ state[f"{block}.attn.out_proj.weight"].T + state[f"{block}.attn.out_proj.bias"]
        hidden = ln(x, f"{block}.ln_2") @ state[f"{block}.mlp.c_fc.weight"].T + state[f"{block}.mlp.c_fc.bias"]
        hidden = hidden * (1.702 * hidden).sigmoid()
        x = x + hidden @ state[f"{block}.mlp.c_proj.weight"].T + state[f"{block}.mlp.c_proj.bias"]
    return x


@pytest.mark.parametrize("container", ["torchscript", "state dict"])
def test_clip_round_trip_gives_the_re_stated_embeddings(container, tmp_path):
    from open_clip.model import build_model_from_openai_state_dict

    state = small_clip(seed=4)
    path = tmp_path / "official.pt"
    official.torchscript(state, path) if container == "torchscript" else torch.save(state, path)
    tensors, metadata = formats.load("clip", formats.convert("clip", path, tmp_path / "clip.safetensors"))
    assert metadata["dim"] == "32" and tensors["visual.proj"].dtype == torch.float16
    model = build_model_from_openai_state_dict(tensors, cast_dtype=torch.float64).double()
    exact = double(state)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    patches = F.conv2d(images, exact["visual.conv1.weight"], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([exact["visual.class_embedding"].expand(2, 1, -1), patches], 1) + exact["visual.positional_embedding"]
    x = F.layer_norm(x, (64,), exact["visual.ln_pre.weight"], exact["visual.ln_pre.bias"])
    x = clip_tower(exact, "visual.transformer", x, heads=1)[:, 0]
    x = F.layer_norm(x, (64,), exact["visual.ln_post.weight"], exact["visual.ln_post.bias"]) @ exact["visual.proj"]
    torch.testing.assert_close(model.encode_image(images), x, rtol=1e-8, atol=1e-8)
    words = torch.tensor([[1, 5, 9, 49, 0, 0, 0, 0, 0, 0, 0, 0]])
    t = exact["token_embedding.weight"][words] + exact["positional_embedding"]
    causal = torch.full((12, 12), -torch.inf, dtype=torch.float64).triu(1)
    t = clip_tower(exact, "transformer", t, heads=1, mask=causal)
    t = F.layer_norm(t, (64,), exact["ln_final.weight"], exact["ln_final.bias"])[:, 3] @ exact["text_projection"]
    torch.testing.assert_close(model.encode_text(words), t, rtol=1e-8, atol=1e-8)


def test_a_resnet_clip_is_refused_in_words(tmp_path):
    state = {"visual.layer1.0.conv1.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match="ResNet; only vision transformers"):
        formats.get("clip").convert(write_pt(state, tmp_path / "rn50.pt"))


def released_edit(state, styles, h, h_attention, features, strength):
    """Independent Eq. 1-3 from the released names: edited styles and the raw attention [B,1,64,64]."""
    g = {name.removeprefix("module."): value for name, value in double(state).items()}
    act = lambda x: F.leaky_relu(x, 0.2) * 2**0.5  # noqa: E731
    linear = lambda x, name: x @ g[f"{name}.weight"].T / x.shape[1] ** 0.5 + g[f"{name}.bias"]  # noqa: E731
    edited = []
    for c, s in enumerate(styles):
        text = act(linear(act(linear(h, f"mapper_text_{c}.0")), f"mapper_text_{c}.1"))
        target = linear(torch.cat([linear(s, f"mapper_{c}"), text], 1), f"mapper_all_{c}")
        edited.append(s + strength * (target - s))

    def styled(f, name):
        modulation = linear(h_attention, f"attention_textca_{name}")
        weight = g[f"attention_{name}.conv.weight"][:, :, :, 0, 0] * modulation[:, None] / f.shape[1] ** 0.5
        weight = weight / (weight.square().sum(2, keepdim=True) + 1e-8).sqrt()
        y = torch.einsum("boc,bchw->bohw", weight, f) + g[f"attention_{name}.activate.bias"].view(1, -1, 1, 1)
        return act(y)

    names = ["first", *range(17)]
    maps = [F.interpolate(styled(f, name), (64, 64)) for name, f in zip(names, features, strict=True)]
    return edited, torch.sigmoid(styled(torch.cat(maps, 1), "last") + g["initial_bias"])


def test_the_released_editor_loads_and_gives_the_re_stated_styles_and_attention(tmp_path):
    state = official.released_mapper(seed=5)
    source = write_pt(state, tmp_path / "final_mapper.pt")
    editor = formats.convert("where2edit", source, tmp_path / "editor.safetensors")
    regions = Regions.load(formats.convert("where2edit-regions", source, tmp_path / "regions.safetensors"))
    assert torch.equal(regions.centres, state["module.initial_state"]) and regions.site == "64.conv1"
    with torch.device("meta"):
        generator = generators.StyleGAN2(1024, 2)
    frozen = Frozen(generator, text_dim=512, blend_site="64.conv1", blending=BlendingConfig(), regions=regions)
    method = METHODS.get("where2edit")(frozen, MethodConfig())
    load_editor(method, editor)
    method.double().eval()
    draw = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=draw, dtype=torch.float64)  # noqa: E731
    styles = {site.name: random(2, site.width) for site in generator.sites}
    convolutions = [site for site in generator.sites if not site.rgb]
    features = {"constant": random(2, 512, 4, 4)}
    # Above 64 px the attention picks every (r/64)-th pixel, so that those pixels are all that is made here.
    features |= {s.name: random(2, s.channels, *[min(s.resolution, 64)] * 2) for s in convolutions}
    h, where = random(2, 512), random(2, 512)
    u, _ = method.mapper(Source(random(2, 18, 512), styles, features), Condition(h, where, 0.1))
    attention = method.attention(features, where)
    edited, expected = released_edit(state, list(styles.values())[:14], h, where, list(features.values()), 0.1)
    for name, value in zip(list(styles)[:14], edited, strict=True):
        torch.testing.assert_close(u[name], value, rtol=1e-8, atol=1e-8)
    assert all(torch.equal(u[name], styles[name]) for name in list(styles)[14:])
    torch.testing.assert_close(attention, expected, rtol=1e-8, atol=1e-8)
    assert attention.std() > 0.01


def test_attention_convolutions_counted_by_list_position_are_the_same_model(tmp_path):
    plain, positions = official.released_mapper(seed=6), official.released_mapper(seed=6, positions=True, wrapped=False)
    found = [
        formats.get("where2edit").convert(write_pt(state, tmp_path / f"{i}.pt"))[0]
        for i, state in enumerate((plain, positions))
    ]
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    mixed = dict(plain) | {"bare": torch.zeros(1)}
    with pytest.raises(ValueError, match="'bare' without the prefix 'module.'"):
        formats.get("where2edit").convert(write_pt(mixed, tmp_path / "mixed.pt"))


@pytest.mark.parametrize(
    "content, words",
    [(b"", "not a readable"), (b"<html>quota exceeded</html>", "is not read"), (b"PK\x03\x04 cut", "not a|is not")],
)
@pytest.mark.parametrize("kind", formats.FORMATS)
def test_a_file_that_is_none_is_one_sentence(kind, content, words, tmp_path):
    (tmp_path / "official").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        formats.get(kind).convert(tmp_path / "official")
    assert "official" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="no file at"):
        formats.get(kind).convert(tmp_path / "nowhere")


def test_the_script_converts_and_refuses_with_exit_code_2(tmp_path, monkeypatch, capsys):
    source = write_pt(official.arcface(official.SMALL_WIDTHS, seed=1), tmp_path / "official.pth")
    code, said, error = call(monkeypatch, capsys, "convert", "arcface-ir-se50", source, tmp_path / "a.safetensors")
    assert code == 0 and "widths: 16 16 32 32" in said and "licence" in said, error
    refused(monkeypatch, capsys, "convert", "arcface-ir-se50", source, tmp_path / "a.bin")
    with pytest.raises(ValueError, match="did you mean 'arcface-ir-se50'"):
        formats.get("arcface")


def test_an_asset_is_converted_once_and_again_when_it_changes(tmp_path, monkeypatch):
    source = write_pt(official.arcface(official.SMALL_WIDTHS, seed=1), tmp_path / "model_ir_se50.pth")
    monkeypatch.setattr(formats.assets, "fetch", lambda name: source)
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    path = formats.located("arcface-ir-se50")
    first = path.stat().st_mtime_ns
    assert formats.located("arcface-ir-se50") == path and path.stat().st_mtime_ns == first
    torch.save(official.arcface(official.SMALL_WIDTHS, seed=2), source)
    os.utime(source, ns=(first + 10**9, first + 10**9))
    before = tensorfile.read(path)[0]["body.3.res_layer.1.weight"]
    assert not torch.equal(tensorfile.read(formats.located("arcface-ir-se50"))[0]["body.3.res_layer.1.weight"], before)
    assert formats.located("some/path.safetensors") == Path("some/path.safetensors")


def test_two_assets_of_one_format_are_each_converted_and_keep_their_own_licence(tmp_path, monkeypatch):
    entries, files = manifest.entries(), {}
    for number, name in enumerate(("stylegan2-ffhq", "stylegan2-mine")):
        files[name] = write_pt(official.stylegan2_rosinality(8, seed=number), tmp_path / f"{name}.pt")
        entries[name] = replace(entries["stylegan2-ffhq"], licence=f"licence {number}")
    monkeypatch.setattr(manifest, "entries", lambda: entries)
    monkeypatch.setattr(formats.assets, "fetch", files.get)
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    paths = [formats.located(name) for name in files]
    constants = []
    for number, path in enumerate(paths):
        tensors, metadata = tensorfile.read(path, "stylegan2")
        constants.append(tensors["constant"])
        assert metadata["licence"] == f"licence {number}" and metadata["kind"] == "stylegan2-rosinality"
    assert len(set(paths)) == 2 and not torch.equal(*constants)


def test_every_format_of_the_manifest_is_known_and_has_an_asset():
    named = {kind for entry in manifest.entries().values() for kind in entry.formats}
    assert named == set(formats.FORMATS)


def test_a_generator_named_by_its_asset_is_converted_and_built(tmp_path, monkeypatch):
    tree = official.stylegan2_rosinality(8, seed=1)
    source = write_pt(tree, tmp_path / "stylegan2-ffhq-config-f.pt")
    monkeypatch.setattr(formats.assets, "fetch", lambda name: {"stylegan2-ffhq": source}[name])
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    config = GeneratorConfig(name="stylegan2", weights="stylegan2-ffhq", options={"resolution": 8})
    generator = build_section(GENERATORS, config, "generator")
    assert torch.equal(generator.constant, tree["g_ema"]["input.input"]) and not generator.constant.requires_grad

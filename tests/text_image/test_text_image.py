"""The text-image encoders: one contract over every entry that needs no download, clip against open_clip, errors."""

import pytest
import torch
from toy_cases import openai_net

from where2edit.core.config import build_section
from where2edit.files import assets, manifest
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.base import TextImage, TextImageConfig
from where2edit.text_image.minilm import MiniLM
from where2edit.text_image.toy import Toy

QUICK = "ViT-B-32-quickgelu"


class Scripted(torch.nn.Module):
    """Holds a network's weights under its own names, as OpenAI's archives do."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        for name, value in state.items():
            *path, leaf = name.split(".")
            node = self
            for part in path:
                if not hasattr(node, part):
                    node.add_module(part, torch.nn.Module())
                node = getattr(node, part)
            node.register_parameter(leaf, torch.nn.Parameter(value, requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    net = openai_net()
    state = {k: v for k, v in net.state_dict().items() if k != "attn_mask"}
    folder = tmp_path_factory.mktemp("clip")
    torch.save(state, folder / "state.pt")
    torch.jit.script(Scripted(state)).save(folder / "scripted.pt")
    return folder


def build(**section):
    return build_section(TEXT_IMAGE, TextImageConfig(**section), "text_image")


def load(path, model=QUICK):
    return build(name="clip", weights=str(path), options={"model": model})


@pytest.mark.parametrize("file", ["state.pt", "scripted.pt"])
def test_clip_equals_open_clip(archives, file):
    import open_clip

    encoder = load(archives / file)
    net = open_clip.load_openai_model(str(archives / file), device="cpu")
    prompts = ["a face with blond hair", "a smile"]
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(encoder.net.parameters(), net.parameters(), strict=True))
        tokens = open_clip.get_tokenizer(QUICK)(prompts)
        assert torch.equal(encoder.text(prompts), encoder.net.encode_text(tokens))
        torch.testing.assert_close(encoder.text(prompts), net.encode_text(tokens), rtol=1e-5, atol=1e-5)
        mean, std = (
            torch.tensor(v).view(3, 1, 1) for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
        )
        expected = net.encode_image(((images + 1) / 2 - mean) / std)
        torch.testing.assert_close(encoder.image(images), expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(encoder.image(images), encoder.net.encode_image(encoder.preprocess(images)))
    assert encoder.dim == 48 and encoder.logit_scale == pytest.approx(float(net.logit_scale.exp()))


def test_both_forms_of_an_archive_agree(archives):
    images = torch.rand(1, 3, 50, 40) * 2 - 1
    assert torch.equal(load(archives / "state.pt").image(images), load(archives / "scripted.pt").image(images))


def test_a_clip_archive_from_the_manifest_is_checked(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE2EDIT_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("WHERE2EDIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / manifest.entry("clip-vit-b32").file).write_bytes((archives / "scripted.pt").read_bytes())
    with pytest.raises(ValueError, match="sha256|bytes"):
        build(name="clip")


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("ViT-B-33", "openai", "unknown CLIP model 'ViT-B-33'; did you mean"),
        ("ViT-B-32", "laion3b", "unknown weights 'laion3b'"),
        ("ViT-B-32", "nowhere.pt", "no CLIP weights at nowhere.pt"),
        ("RN50", None, "no weights named"),
    ],
)
def test_clip_names_that_do_not_exist(model, weights, said):
    with pytest.raises(ValueError, match=said):
        build(name="clip", weights=weights, options={"model": model})


@pytest.mark.parametrize("file", ["state.pt", "scripted.pt"])
def test_a_truncated_clip_archive(archives, tmp_path, file):
    data = (archives / file).read_bytes()
    (tmp_path / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="broken"):
        load(tmp_path / file)


def test_an_openai_archive_needs_quickgelu(archives):
    with pytest.raises(ValueError, match="QuickGELU"):
        load(archives / "scripted.pt", "ViT-B-32")


def test_weights_of_another_clip(archives):
    with pytest.raises(ValueError, match="does not hold the weights"):
        load(archives / "state.pt", "ViT-B-32")


def test_clip_prompt_too_long(archives):
    with pytest.raises(ValueError, match="at most 75"):
        load(archives / "state.pt").text(["hair " * 100])


def test_toy_encoder_contract():
    encoder = build(name="toy", options={"seed": 3})
    h = encoder.text(["blond hair", "a smile", "blond hair"])
    assert h.shape == (3, encoder.dim) and torch.equal(h[0], h[2]) and not torch.allclose(h[0], h[1])
    torch.testing.assert_close(h.norm(dim=1), torch.ones(3))
    images = torch.rand(2, 3, 40, 24, requires_grad=True)
    encoder.image(images).sum().backward()
    assert images.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in encoder.parameters())
    assert torch.equal(Toy(3).text(["x"]), Toy(3).text(["x"]))
    assert not torch.equal(Toy(3).text(["x"]), Toy(4).text(["x"]))


@pytest.mark.parametrize("prompts", [[], "blond hair", [""], ["  "], [None]])
def test_bad_prompts(prompts):
    with pytest.raises(ValueError, match="prompt"):
        Toy().text(prompts)


@pytest.mark.parametrize(
    "images", [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8).byte(), None]
)
def test_bad_images(images):
    with pytest.raises(ValueError, match=r"\[B,3,H,W\]"):
        Toy().image(images)


def test_unknown_encoder_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'facetext'"):
        TEXT_IMAGE.get("face_text")


def test_minilm_is_the_published_network():
    """Against transformers on the same files."""
    transformers = pytest.importorskip("transformers")
    folder = assets.fetch("minilm-model").parent
    words = MiniLM.load((6,))
    prompts = ["blond hair", "a person with bangs and a big smile", "no hat"]
    config = transformers.BertConfig.from_json_file(assets.fetch("minilm-config"))
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    from safetensors.torch import load_file

    bert.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    tokens = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(assets.fetch("minilm-tokenizer")), pad_token="[PAD]"
    )
    encoded = tokens(prompts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = bert(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]).last_hidden_state
    mask = encoded["attention_mask"][:, :, None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    torch.testing.assert_close(words(prompts), expected, rtol=1e-4, atol=1e-5)


def test_options_belong_to_one_encoder():
    with pytest.raises(ValueError, match=r"unknown key 'text_image\.options\.model'"):
        build(name="toy", options={"model": QUICK})
    with pytest.raises(ValueError, match=r"text_image\.options\.pixels is 'raw'"):
        build(name="clip", options={"pixels": "raw"})


def test_an_incomplete_encoder_cannot_be_made():
    class Incomplete(TextImage):
        def encode_text(self, prompts):
            return prompts

    with pytest.raises(TypeError, match="abstract"):
        Incomplete()

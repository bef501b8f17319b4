"""Every registered method and every registered loss keeps the contracts of the design."""

from dataclasses import replace
from functools import cache

import pytest
import torch
import toy_cases as toy
from toy_cases import random_vgg

from where2edit.backbones import arcface, face_parsing, vgg
from where2edit.core.records import Edit
from where2edit.editing.certificate import certify, halo
from where2edit.methods import METHODS
from where2edit.methods.base import Method
from where2edit.methods.controls import FullImage, OracleMask
from where2edit.training.losses import LOSSES
from where2edit.training.losses.base import LossConfig, build_loss
from where2edit.training.trainer import EditorTrainer, TrainingConfig

SEEDS = (0, 1)
SMALL = {"perceptual": {"size": 16}}  # options that only make a loss cheaper
LOSS_NAMES = LOSSES.names()


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    monkeypatch.setattr(vgg.VGG16, "load", classmethod(random_vgg))
    monkeypatch.setattr(arcface.ArcFace, "load", toy.ColourIdentity)
    monkeypatch.setattr(vgg.LPIPS, "load", toy.random_lpips)
    monkeypatch.setattr(face_parsing.FaceParser, "load", toy.DarkHair)


@pytest.fixture(params=METHODS.names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def built():
    """A method by its name, built once."""
    return cache(toy.half_open)


def run(method, strength=0.1, per_source=2):
    condition = toy.condition(n=len(SEEDS), per_source=per_source, strength=strength)
    with torch.no_grad():
        return method(toy.sources(SEEDS), condition)


def trainable(method):
    return [p for p in method.parameters() if p.requires_grad]


def test_a_method_is_a_module_of_trained_parameters_only(name):
    method = toy.method(name)
    assert isinstance(method, Method) and isinstance(method.local, bool)
    frozen = {id(p) for p in (*toy.generator().parameters(), *toy.encoder().parameters())}
    assert not frozen & {id(p) for p in method.parameters()}


def test_a_method_that_proposes_nothing_cannot_be_built():
    class OnlyRenders(Method):
        def render(self, source, edit, use_preview_head=False, keep_tail=None):
            return edit

    with pytest.raises(TypeError, match="abstract.*propose"):
        OnlyRenders(toy.frozen())


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_threshold_of_a_condition_takes_the_place_of_the_methods(threshold):
    method, condition = toy.method().eval(), replace(toy.condition(n=2), threshold=threshold)
    with torch.no_grad():
        mask = method.propose(toy.sources(SEEDS), condition).mask
    assert (mask > 0).all() if threshold == 0 else not mask.any()


def test_strength_zero_gives_the_source_bit_for_bit(name, built):
    edit = run(built(name), strength=0.0, per_source=1)
    assert torch.equal(edit.image, toy.sources(SEEDS).image)


def test_strength_zero_gives_several_edits_of_a_source_its_own_styles(name, built):
    """Their image is the source's as a batch of that size renders it: 4 and 8 px round differently in another."""
    method, repeated = built(name), toy.sources(SEEDS).repeat(2)
    edit = run(method, strength=0.0, per_source=2)
    assert all(torch.equal(style, repeated.styles[site]) for site, style in edit.styles.items())
    with torch.no_grad():
        unedited = method.render(repeated, edit.with_(styles=repeated.styles))
    assert torch.equal(edit.image, unedited.image)
    assert torch.allclose(edit.image, repeated.image, atol=1e-4)


def test_attention_and_mask_do_not_depend_on_the_strength(name, built):
    """Natural strength proposes an edit once and looks at it at several strengths under the same mask."""
    weak, strong = (run(built(name), strength) for strength in (0.05, 0.5))
    assert torch.equal(weak.mask, strong.mask)
    assert (weak.attention is None) == (strong.attention is None)
    assert weak.attention is None or torch.equal(weak.attention, strong.attention)


def test_an_empty_mask_gives_the_source_bit_for_bit(name, built):
    method, repeated = built(name), toy.sources(SEEDS).repeat(2)
    edit = run(method)
    with torch.no_grad():
        closed = method.render(repeated, edit.with_(mask=torch.zeros_like(edit.mask)))
    assert torch.equal(closed.image, repeated.image)


def test_a_full_mask_is_plain_synthesis_with_both_styles(name, built):
    method, generator, repeated = built(name), toy.generator(), toy.sources(SEEDS).repeat(2)
    edit = run(method)
    with torch.no_grad():
        opened = method.render(repeated, edit.with_(mask=torch.ones_like(edit.mask)))
        styles = edit.styles if edit.tail is None else edit.styles | edit.tail.styles
        assert torch.equal(opened.image, generator.synthesis(styles))


def test_nothing_leaks_from_a_local_method(name, built):
    method = built(name)
    edit, source = run(method), toy.sources(SEEDS).repeat(2)
    reach = halo(method.frozen.generator, method.frozen.blend_site)
    certificates = certify(source.image, edit.image, edit.mask, reach)
    if method.local:
        assert all(certificate.leak_max == 0 and certificate.leak_mean == 0 for certificate in certificates)
    assert any(c.changed for c in certificates) or not trainable(method), "a method that changes nothing proves nothing"


def test_nothing_leaks_under_a_mask_of_one_cell(name, built):
    """On 16 px a mask of the method's own may reach everywhere; one cell leaves an outside for certain."""
    method, source = built(name), toy.sources(SEEDS).repeat(2)
    edit = run(method, strength=1.0)
    mask = torch.zeros_like(edit.mask)
    mask[..., 0, 0] = 1
    with torch.no_grad():
        edit = method.render(source, edit.with_(mask=mask))
    reach = halo(method.frozen.generator, method.frozen.blend_site)
    certificates = certify(source.image, edit.image, mask, reach)
    assert all(certificate.allowed_area < 0.1 for certificate in certificates)
    assert not method.local or all(certificate.local for certificate in certificates)
    assert any(certificate.changed for certificate in certificates) or not trainable(method)


def test_a_method_is_deterministic(name, built):
    first, second = built(name), toy.half_open(name)
    for (key, a), (other, b) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert key == other and torch.equal(a, b), key
    a, b, c = run(first), run(first), run(second)
    assert torch.equal(a.image, b.image) and torch.equal(a.image, c.image) and torch.equal(a.mask, c.mask)


def test_a_batch_is_its_samples(name, built):
    """Edits of one source do not depend on what else stands in the batch."""
    method, source = built(name), toy.sources(SEEDS)
    whole = run(method)
    for i in range(len(SEEDS)):
        condition = replace(toy.condition(n=2, per_source=2), per_source=2)
        own = replace(condition, h=condition.h[2 * i : 2 * i + 2], h_attention=condition.h_attention[2 * i : 2 * i + 2])
        own = replace(own, prompts=condition.prompts[2 * i : 2 * i + 2])
        with torch.no_grad():
            alone = method(source.take(slice(i, i + 1)), own)
        assert torch.allclose(alone.image, whole.image[2 * i : 2 * i + 2], atol=1e-4)


def test_an_edit_is_complete(name, built):
    edit = run(built(name))
    assert isinstance(edit, Edit) and edit.image.shape == (4, 3, 16, 16) and edit.mask.shape == (4, 1, 16, 16)
    assert set(edit.styles) == {site.name for site in toy.generator().sites}
    assert 0 <= edit.mask.min() <= edit.mask.max() <= 1 and torch.isfinite(edit.image).all()


@pytest.mark.parametrize("inputs, noise", [("trunk", False), ("all", True)])
def test_a_step_moves_what_is_released_and_nothing_that_is_frozen(name, built, inputs, noise, tmp_path):
    method = toy.method(name, attending=toy.attention(inputs=inputs, noise=noise))
    if not list(method.parameters()):
        with pytest.raises(ValueError, match="has nothing to train"):
            trainer(method, tmp_path)
        return
    if isinstance(method, FullImage | OracleMask):
        pytest.skip("a control that borrows the trained mapper is not trained itself")
    training = trainer(method, tmp_path)
    for step in (0, 9):  # before and after anything that a schedule holds back
        training.step = step
        before = {key: p.detach().clone() for key, p in method.named_parameters()}
        training.train_step()
        released = {key for key, p in method.named_parameters() if p.requires_grad}
        for key, p in method.named_parameters():
            assert (p.grad is not None and torch.isfinite(p.grad).all()) == (key in released), (step, key)
            assert key in released or torch.equal(p, before[key]), key
    assert released == {key for key, p in method.named_parameters() if any(p is q for q in training.parameters)}
    moved = {key for key, p in method.named_parameters() if not torch.equal(p, before[key])}
    assert moved == released, f"{released - moved} have a gradient of zero"
    for frozen in (toy.generator(), toy.encoder()):
        assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())


def losses(names=LOSS_NAMES):
    configs = {each: LossConfig(1.0, options=SMALL.get(each, {})) for each in names}
    return {each: (config, build_loss(each, config, toy.encoder())) for each, config in configs.items()}


def fitting(method):
    """The losses that can be used with a method: the others say that it lacks what they read."""
    edit, condition, found = run(method), toy.condition(n=len(SEEDS)), {}
    for each, (config, loss) in losses().items():
        try:
            loss(toy.sources(SEEDS), edit, condition)
            found[each] = (config, loss)
        except ValueError as error:
            assert "which this method lacks; set losses." in str(error)
    return found


def trainer(method, folder):
    config = TrainingConfig(steps=10, prompts=2, tensorboard=False, warmup=0.0)
    chosen = fitting(method) if trainable(method) else losses()
    return EditorTrainer(config, method, toy.sampler(), chosen, folder, 0.1, "contract")


def test_the_method_of_the_paper_fits_every_loss(built):
    assert list(fitting(built("where2edit"))) == LOSS_NAMES


@pytest.mark.parametrize("each", LOSS_NAMES)
def test_a_loss_is_a_finite_scalar_that_reaches_trained_parameters_only(each):
    method, source, condition = toy.method(), toy.sources(SEEDS), toy.condition(n=2)
    value = losses([each])[each][1](source, method(source, condition), condition)
    assert value.shape == () and torch.isfinite(value)
    value.backward()
    assert any(p.grad is not None and p.grad.any() for p in method.parameters())
    assert all(p.grad is None for p in (*toy.generator().parameters(), *toy.encoder().parameters()))


@pytest.mark.parametrize("each", LOSS_NAMES)
def test_a_loss_is_deterministic_and_independent_of_the_order_of_images(each):
    method, source, condition = toy.method(), toy.sources(SEEDS), toy.condition(n=2)
    loss = losses([each])[each][1]
    with torch.no_grad():
        edit = method(source, condition)
        value = loss(source, edit, condition)
        assert torch.equal(value, loss(source, edit, condition))
        h = condition.h.unflatten(0, (2, 2)).flip(0).flatten(0, 1)
        prompts = condition.prompts[2:] + condition.prompts[:2]
        turned = replace(condition, h=h, h_attention=h, prompts=prompts)
        flipped = source.take(torch.tensor([1, 0]))
        assert torch.allclose(value, loss(flipped, method(flipped, turned), turned), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("each", LOSS_NAMES)
def test_unknown_options_of_a_loss_are_refused(each):
    with pytest.raises(ValueError, match=f"losses.{each}.options.weigth"):
        build_loss(each, LossConfig(1.0, options={"weigth": 1}), toy.encoder())

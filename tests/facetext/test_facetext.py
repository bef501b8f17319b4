"""facetext and the judge: their networks, losses and training loop on small cases, and the shipped weights replayed."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_face_data import parsed_face, small_batches

from where2edit.backbones.efficientnet_lite import EfficientNetLite0, calibrate, fuse
from where2edit.backbones.judge import Judge
from where2edit.facetext import objectives
from where2edit.facetext.balance import Balance
from where2edit.facetext.caption_bank import CaptionBank
from where2edit.facetext.captions import Caption
from where2edit.facetext.config import EncoderConfig, Refine, Schedule, rate_at
from where2edit.facetext.material import kept
from where2edit.facetext.measures import auc
from where2edit.facetext.phrases import CONCEPTS, EDITOR_PROMPTS, NAMES
from where2edit.facetext.pixel_attack import pixel_attack
from where2edit.facetext.publishing import publish
from where2edit.facetext.report import Verdict
from where2edit.facetext.start import teach_words
from where2edit.facetext.trainer import EncoderTrainer
from where2edit.facetext.validation_photos import ValidationPhotos
from where2edit.files import assets, tensorfile
from where2edit.text_image import TEXT_IMAGE
from where2edit.text_image.facetext import TextHead, Towers
from where2edit.text_image.toy import Toy
from where2edit.training.state import STATE

REPLAY = "tests/replay/facetext.safetensors"


@pytest.fixture(scope="module")
def facetext():
    return TEXT_IMAGE.get("facetext")()


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


@pytest.fixture(scope="module")
def replay():
    return load_file(assets.shipped(REPLAY))


def test_fusing_keeps_the_function():
    torch.manual_seed(0)
    net, images = EfficientNetLite0(fused=False), torch.randn(2, 3, 64, 64)
    calibrate(net, [torch.randn(4, 3, 64, 64) for _ in range(2)])
    for a, b in zip(net(images), fuse(net)(images), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_every_published_tensor_finds_its_place():
    net = EfficientNetLite0.load()
    assert sum(p.numel() for p in net.parameters()) == 3_371_008
    assert net.stem.conv.weight.abs().mean() > 0.05 and net.head.norm.running_var.mean() > 0


def test_auc_against_scikit_learn():
    from sklearn.metrics import roc_auc_score

    draw = torch.Generator().manual_seed(0)
    scores, truth = torch.randint(0, 9, (200,), generator=draw).float(), torch.randint(0, 2, (200,), generator=draw)
    assert auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    unknown = torch.cat([truth, torch.full((50,), -1)])
    assert auc(torch.cat([scores, 100 * torch.ones(50)]), unknown) == pytest.approx(auc(scores, truth))
    assert auc(scores, torch.ones(200).long()) != auc(scores, torch.ones(200).long())  # nan


def test_rate_climbs_falls_and_climbs_again():
    schedule = Schedule(steps=100, warmup=0.1, restart=50, restart_rate=0.5)
    rates = [rate_at(step, schedule) for step in range(100)]
    assert max(rates[:50]) == pytest.approx(1, abs=0.01) and rates[49] == pytest.approx(0.01, abs=0.005)
    assert max(rates[50:]) == pytest.approx(0.5, abs=0.01) and rates[99] == pytest.approx(0.005, abs=0.003)


def test_rate_climbs_once_more_to_refine():
    schedule = Schedule(steps=150, warmup=0.1, restart=50, restart_rate=0.5, refine=Refine(start=100, rate=0.2))
    rates = [rate_at(step, schedule) for step in range(150)]
    assert max(rates[50:100]) == pytest.approx(0.5, abs=0.01) and rates[99] == pytest.approx(0.005, abs=0.003)
    assert max(rates[100:]) == pytest.approx(0.2, abs=0.01) and rates[149] == pytest.approx(0.002, abs=0.001)


def bank_of_all(width: int = 24) -> CaptionBank:
    """One affirmation, one denial and one composite per concept, with random features."""
    captions = [Caption(f"{n} {side}", ((n, side),)) for n in range(len(CONCEPTS)) for side in (0, 1)]
    captions += [Caption(f"{n} and next", ((n, 1), ((n + 1) % len(CONCEPTS), 1))) for n in range(len(CONCEPTS))]
    return CaptionBank(captions, torch.randn(len(captions), width, generator=torch.Generator().manual_seed(0)))


def test_words_are_taught_orthogonal_axes_and_opposite_denials():
    torch.manual_seed(0)
    bank, head = bank_of_all(), TextHead(24, 64)
    axes = teach_words(head, bank, 0, steps=300)
    torch.testing.assert_close(axes @ axes.T, torch.eye(len(CONCEPTS)), atol=1e-5, rtol=0)
    head.eval()
    yes, no = (head(bank.features[torch.cat([bank.by_side[2 * n + i] for n in range(len(CONCEPTS))])]) for i in (1, 0))
    assert (yes * axes).sum(1).min() > 0.6 and (no * axes).sum(1).max() < -0.6


class TwoTowers(torch.nn.Module):
    """Stands in for the towers: the picture's embedding is a parameter, so that the loss can be computed by hand."""

    def __init__(self, embedding: torch.Tensor):
        super().__init__()
        self.embedding = torch.nn.Parameter(embedding)
        self.log_scale, self.bias = torch.nn.Parameter(torch.zeros(())), torch.nn.Parameter(torch.zeros(()))
        self.image_tower, self.text_head = self, lambda features: features[:, :2]

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.embedding


def test_caption_loss_by_hand(monkeypatch):
    """One caption, three pictures with it and one without: each side weighs a half, whatever its number."""
    bank = CaptionBank([Caption("x", ((0, 1),))], torch.tensor([[2.0, 0.0]]))
    balance = Balance(0.0, decay=0.0)
    truth = torch.full((4, len(CONCEPTS)), -1)
    truth[:, 0] = torch.tensor([1, 1, 1, 0])
    balance.update(truth)
    loss = objectives.CaptionLoss(bank, balance, EncoderConfig())
    monkeypatch.setattr(loss, "draw", lambda step: torch.tensor([0]))
    monkeypatch.setattr(objectives, "noisy", lambda features: features)
    towers = TwoTowers(torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0]]))
    value = loss(towers, torch.zeros(4, 3, 8, 8), truth, 0)
    expected = 0.5 * torch.nn.functional.softplus(torch.tensor([-2.0, 2.0])).sum()
    torch.testing.assert_close(value, expected, rtol=1e-2, atol=0)
    value.backward()
    assert (towers.embedding.grad[:3, 0] < 0).all() and towers.embedding.grad[3, 0] > 0


def test_refining_asks_oftener_for_its_concepts():
    """A concept that is asked for ninefold takes 9 of 9 + 53 parts of the single captions, and 1 of 54 before."""
    number = NAMES.index("Smiling")
    refine = Refine(start=10, concepts=("Smiling",), times=9.0)
    config = EncoderConfig(schedule=Schedule(steps=20, refine=refine), captions=5000)
    loss = objectives.CaptionLoss(bank_of_all(), Balance(0.5), config)
    single = [loss.bank.concepts[loss.draw(step)[:4000], 0] for step in (9, 10)]
    shares = [(concepts == number).float().mean().item() for concepts in single]
    assert shares == [pytest.approx(1 / 54, abs=0.01), pytest.approx(9 / 62, abs=0.02)]


def test_attack_raises_the_loss_within_its_size():
    images = torch.rand(4, 3, 8, 8) - 0.5
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))

    def loss(x):
        return (x * weight).sum()

    moved = objectives.attacked(images, 0.02, loss)
    assert loss(moved) > loss(images) and (moved - images).abs().max() <= 0.02 + 1e-6
    assert torch.equal(moved[2:], images[2:])


def test_material_is_made_where_it_is_missing(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return parsed_face(2)

    first, again = (kept(tmp_path / "faces.safetensors", make, 32) for _ in range(2))
    assert len(calls) == 1 and [path.name for path in tmp_path.iterdir()] == ["faces.safetensors"]
    assert first.images.shape == (2, 3, 32, 32) and torch.equal(first.images, again.images)


def test_material_of_other_pictures_is_made_anew(tmp_path):
    made = []

    def make():
        made.append(parsed_face(2 + len(made)))
        return made[-1]

    def ask(content):
        return len(kept(tmp_path / "faces.safetensors", make, 32, content))

    assert [ask(content) for content in ("a", "a", "b", "b", "a")] == [2, 2, 3, 3, 4]
    (tmp_path / "faces.safetensors").unlink()
    # A file of an earlier version does not say what it is made of.
    assert [ask(""), ask("a"), len(made)] == [5, 5, 4]


def test_a_figure_reaches_its_threshold_or_stays_under_it():
    assert Verdict("AUC", 0.85, 0.85).met and not Verdict("AUC", 0.849, 0.85).met
    assert Verdict("seconds", 0.4, 0.5, under=True).met and not Verdict("seconds", 0.5, 0.5, under=True).met


class Tiny(torch.nn.Module):
    def __init__(self, normalised: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = torch.nn.Conv2d(3, 4, 5, 4), torch.nn.Linear(4, len(CONCEPTS))
        if normalised:
            self.body = torch.nn.Sequential(self.body, torch.nn.BatchNorm2d(4))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.body(images)).mean((2, 3)))


def tiny_run(folder, slow: bool = False, normalised: bool = False, **schedule) -> EncoderTrainer:
    folder.mkdir(exist_ok=True)
    config = EncoderConfig(schedule=Schedule(small_size=32, save_every=3, **schedule))
    balance, net = Balance(0.5), Tiny(normalised)
    loss = objectives.concept_loss(balance)
    head = list(net.head.parameters())
    kinds = ([], head) if slow else (head, [])
    return EncoderTrainer(net, *kinds, small_batches(), balance, loss, config, folder, "cpu")


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = tiny_run(tmp_path / "whole", steps=7)
    whole.run()
    stopped = tiny_run(tmp_path / "stopped", steps=7)
    stopped.loss, kept, calls = None, stopped.loss, []

    def fails_at_five(*arguments):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return kept(*arguments)

    stopped.loss = fails_at_five
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = tiny_run(tmp_path / "stopped", steps=7)
    resumed.resume()
    assert resumed.step == 3
    resumed.run()
    for a, b in zip(whole.average.state_dict().values(), resumed.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="another config"):
        tiny_run(tmp_path / "stopped", steps=7, seed=8).run()


def test_resuming_restores_everything_to_the_bit(tmp_path):
    """Running statistics, the moments, the counts, the weights before refining, the log: killed before and after it."""
    options = {"normalised": True, "steps": 10, "attack_every": 2, "refine": Refine(start=4, keep=0.25, within=0.9)}
    whole = tiny_run(tmp_path / "whole", **options)
    whole.run()
    for until in (3, 6, 8, None):
        resumed = tiny_run(tmp_path / "stopped", **options)
        resumed.run(until)
    states = [load_file(tmp_path / name / "state.safetensors") for name in ("whole", "stopped")]
    assert states[0].keys() == states[1].keys() and {name.split(".")[0] for name in states[0]} == {
        "parameter", "buffer", "optimizer", "extra"
    }  # fmt: skip
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    for a, b in zip(whole.result().state_dict().values(), resumed.result().state_dict().values(), strict=True):
        assert torch.equal(a, b)
    logs = [(tmp_path / name / "train.jsonl").read_text().splitlines() for name in ("whole", "stopped")]
    losses = [[(line["step"], line["loss"]) for line in map(json.loads, lines)] for lines in logs]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == list(range(1, 11))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("extra.average.head.bias"),
        lambda t: t.update({"extra.average.head.bias": torch.zeros(1)}),
        lambda t: t.update({"extra.average.strange": torch.zeros(1)}),
        lambda t: t.pop("extra.rates"),
        lambda t: t.update({"extra.rates": torch.zeros(1, dtype=torch.float64)}),
        lambda t: t.update({"extra.balance.counts": torch.full_like(t["extra.balance.counts"], float("nan"))}),
        lambda t: t.update({"extra.balance.steps": torch.tensor(1.0)}),
        lambda t: t.update({"extra.before.head.bias": torch.zeros(1)}),
    ],
)
def test_the_state_of_another_run_is_refused(change, tmp_path):
    tiny_run(tmp_path, steps=3).run()
    tensors, metadata = tensorfile.read(tmp_path / STATE)
    change(tensors)
    for described in (metadata, {key: value for key, value in metadata.items() if key != "layout"}):
        tensorfile.write(tmp_path / STATE, tensors, "training", described)
        with pytest.raises(
            ValueError, match="state.safetensors .*; (delete it to start over|get or make the file again)"
        ):
            tiny_run(tmp_path, steps=3).run()


def test_the_log_holds_the_report_every_so_often(tmp_path):
    run = tiny_run(tmp_path, steps=4)
    run.report, run.report_every = lambda net: {"auc": float(net is run.average)}, 2
    run.run()
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [line.get("auc") for line in lines] == [None, 1.0, None, 1.0]


def test_training_moves_every_parameter(tmp_path):
    run = tiny_run(tmp_path, steps=2)
    before = [p.detach().clone() for p in run.net.parameters()]
    run.run()
    assert all(not torch.equal(a, b) for a, b in zip(before, run.net.parameters(), strict=True))


def test_refining_leaves_the_words_as_they_are(tmp_path):
    """From its first refining step on, only what is not slow moves, and its concepts are balanced inside groups."""
    run = tiny_run(tmp_path, slow=True, steps=6, refine=Refine(start=3, concepts=("Mustache",), within=0.9))
    run.skip_to(3)
    before = [p.detach().clone() for p in run.net.parameters()]
    run.run()
    moved = [not torch.equal(a, b) for a, b in zip(before, run.net.parameters(), strict=True)]
    assert moved == [True, True, False, False]
    shares = run.balance.within.flatten()
    assert shares[NAMES.index("Mustache")].item() == pytest.approx(0.9)
    assert shares[NAMES.index("Smiling")].item() == pytest.approx(0.5)


def test_the_result_keeps_a_share_of_the_weights_before_refining(tmp_path):
    run = tiny_run(tmp_path, steps=6, refine=Refine(start=3, keep=0.25))
    run.skip_to(3)
    before = run.net.head.weight.detach().clone()
    run.run()
    after = run.average.head.weight
    assert not torch.equal(before, after)
    torch.testing.assert_close(run.result().head.weight, 0.25 * before + 0.75 * after)
    again = tiny_run(tmp_path, steps=6, refine=Refine(start=3, keep=0.25))
    again.run()
    assert torch.equal(again.result().head.weight, run.result().head.weight)


def test_published_weights_say_what_they_are(tmp_path):
    towers, config = Towers(), EncoderConfig()
    publish(towers, tmp_path / "t.safetensors", config, "facetext")
    again = Towers.load(tmp_path / "t.safetensors")
    torch.testing.assert_close(again.image_tower.head.weight, towers.image_tower.head.weight, atol=1e-3, rtol=1e-2)
    with pytest.raises(ValueError, match="says format=where2edit.facetext, expected where2edit.judge"):
        Judge.load(tmp_path / "t.safetensors")


def test_wrong_weight_files(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"0123456789")
    described = {"format": "where2edit", "model": "judge", "names": "Smiling"}
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", described)
    sentences = ("is not a safetensors file", "no weights at", "format=where2edit.judge, expected where2edit.facetext")
    for path, said in zip(("broken", "missing", "other"), sentences, strict=True):
        with pytest.raises(ValueError, match=said):
            Towers.load(tmp_path / f"{path}.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        Judge.load(tmp_path / "other.safetensors")


def test_pixel_attack_measures_gains(monkeypatch):
    """On the toy encoder more freedom never gains less, as the optimiser sees it."""
    photos = torch.randint(0, 255, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    values = (torch.arange(40 * 40).reshape(40, 40) % 3 == 0).to(torch.uint8)
    rows = pixel_attack(ValidationPhotos.of(Toy(), photos, values), photos, count=4, steps=5)
    gains = [abs(row["plain"]) for row in rows]
    assert [row["levels"] for row in rows] == [1, 2, 4, 8] and gains == sorted(gains)


def test_shipped_facetext_replays(facetext, replay):
    images = replay["images"].float() / 127.5 - 1
    torch.testing.assert_close(facetext.image(images), replay["image_embeddings"], atol=2e-3, rtol=0)
    torch.testing.assert_close(facetext.text(list(EDITOR_PROMPTS)), replay["text_embeddings"], atol=2e-3, rtol=0)


def test_shipped_facetext_keeps_the_interface(facetext):
    assert facetext.dim == 256 and facetext.unit_norm and facetext.logit_scale > 1
    for shape in ((1, 3, 89, 70), (2, 3, 256, 256)):
        images = (torch.rand(shape) * 2 - 1).requires_grad_(True)
        h = facetext.image(images)
        assert h.shape == (shape[0], 256)
        torch.testing.assert_close(h.norm(dim=1), torch.ones(shape[0]))
        h[:, 0].sum().backward()
        assert images.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in facetext.parameters())
    assert all(p.grad is None for p in facetext.parameters())
    assert assets.shipped("pretrained_models/facetext.safetensors").stat().st_size <= 12_000_000


def test_shipped_facetext_knows_words(facetext):
    blonde, golden, black, hat, no_hat = facetext.text(["blonde hair", "golden hair", "black hair", "a hat", "no hat"])
    assert blonde @ golden > max(blonde @ black, golden @ black) + 0.3
    assert hat @ no_hat < 0
    man, woman, lipstick = facetext.text(["a man", "a woman", "lipstick"])
    assert abs(torch.nn.functional.normalize(man - woman, dim=0) @ lipstick) < 0.2
    assert torch.equal(facetext.text(["a hat"])[0], facetext.text(["a hat"])[0])


def test_shipped_judge_replays(judge, replay):
    images = replay["images"].float() / 127.5 - 1
    torch.testing.assert_close(judge(images), replay["judge_logits"], atol=2e-2, rtol=0)
    assert judge.names == NAMES and all(name in judge.names for name, _ in EDITOR_PROMPTS.values())
    probability = judge.probability(images, "Smiling")
    assert ((probability > 0) & (probability < 1)).all()
    with pytest.raises(ValueError, match="did you mean 'Smiling'"):
        judge.probability(images, "Smile")
    assert assets.shipped("pretrained_models/judge.safetensors").stat().st_size <= 12_000_000

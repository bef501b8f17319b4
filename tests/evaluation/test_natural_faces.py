"""Natural faces: what is kept of them, how an interrupted run goes on, and which of them are examples."""

from dataclasses import replace

import pytest
import torch
import toy_cases as toy
from metric_cases import make_networks, natural_faces

from where2edit.evaluation import natural_faces as module
from where2edit.evaluation.concepts import Asked
from where2edit.evaluation.natural_faces import FIRST_SEED, NaturalFaceStore, check_seeds
from where2edit.evaluation.samples import SamplingPlan


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD", 4)
    monkeypatch.setattr(module, "BATCH", 2)


def store(folder, count=10, networks=None, truncation=0.7):
    return NaturalFaceStore(folder, toy.generator(), networks or make_networks(), count, truncation)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def test_the_faces_of_the_seeds_as_the_networks_see_them(tmp_path):
    networks, net = make_networks(), toy.generator()
    found = store(tmp_path, 3, networks).read()
    images = net.synthesis(net.styles(net.w(net.sample_z(range(FIRST_SEED, FIRST_SEED + 3)), 0.7)))
    embedding = torch.nn.functional.normalize(networks["train_encoder"].image(images), dim=1)
    assert len(found) == 3 and found.names == networks["judge"].names
    torch.testing.assert_close(found.logits, networks["judge"](images), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.embeddings, embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.features, networks["inception"](images), rtol=1e-3, atol=1e-3)


def test_a_stopped_run_goes_on_and_a_larger_number_adds_to_it(tmp_path, monkeypatch):
    whole, stopped = store(tmp_path / "whole"), store(tmp_path / "stopped")
    expected = whole.read()
    measure, calls = NaturalFaceStore._measure, []

    def dies(self, numbers):
        calls.append(numbers)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measure(self, numbers)

    monkeypatch.setattr(NaturalFaceStore, "_measure", dies)
    with pytest.raises(KeyboardInterrupt):
        stopped.make()
    assert list(files(tmp_path / "stopped")) == [f"{FIRST_SEED}.safetensors"]
    found = stopped.read()
    assert torch.equal(found.logits, expected.logits) and files(tmp_path / "stopped") == files(tmp_path / "whole")
    assert [numbers.start for numbers in calls] == [0, 2, 4, 6, 4, 6, 8, 10]
    store(tmp_path / "stopped", 13).read()
    assert [numbers.start for numbers in calls[8:]] == [12, 14]


def test_processes_share_the_faces(tmp_path):
    for number in range(2):
        store(tmp_path / "two").make(number, 2)
    store(tmp_path / "one").make()
    assert files(tmp_path / "two") == files(tmp_path / "one") and len(files(tmp_path / "one")) == 3


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: data[:-1] + bytes([data[-1] ^ 4])])
def test_a_damaged_file_is_made_again(damage, tmp_path):
    kept = store(tmp_path)
    kept.make()
    before = files(tmp_path)
    victim = next(tmp_path.rglob("*.safetensors"))
    victim.write_bytes(damage(victim.read_bytes()))
    kept.read()
    assert files(tmp_path) == before


def test_another_truncation_or_network_is_another_folder(tmp_path):
    changed = make_networks()
    changed["judge"].weight.add_(1)
    folders = {store(tmp_path).folder, store(tmp_path, networks=changed).folder, store(tmp_path, truncation=1.0).folder}
    assert len(folders) == 3 and store(tmp_path, 20).folder in folders


def test_examples_have_more_than_four_to_one():
    faces = replace(natural_faces(4), logits=torch.tensor([[1.3, 0, 0], [1.4, 0, 0], [-1.4, 0, 0], [9.0, 0, 0]]))
    assert faces.examples(Asked(0, 1)).tolist() == [1, 3] and faces.examples(Asked(0, -1)).tolist() == [2]


def test_a_negative_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--natural-faces must be at least 1, or 0 to go without them, got -1"):
        store(tmp_path, -1)


def test_sources_and_natural_faces_are_other_faces():
    check_seeds([SamplingPlan(50), SamplingPlan(5, seed=FIRST_SEED - 5), SamplingPlan(5, seed=FIRST_SEED + 100)], 100)
    for seed in (FIRST_SEED - 4, FIRST_SEED + 99):
        with pytest.raises(ValueError, match=f"--seed {seed} with 5 sources meets the natural faces"):
            check_seeds([SamplingPlan(5, seed=seed)], 100)

"""Replayed walks: what tells one recording from another, that nothing is shared with the caller, when none is made."""

import copy

import pytest
import torch
import toy_cases as toy

from where2edit.core.records import Edit, TailLayer
from where2edit.editing.blended_walk import blended_trunk, finished
from where2edit.editing.rendering import render_blended
from where2edit.editor.build import build_generator
from where2edit.editor.profile import load_profile
from where2edit.generators.mobilestylegan import MobileStyleGAN
from where2edit.generators.stylegan2 import Arithmetic, create
from where2edit.ops import modulated_conv
from where2edit.ops.cuda_graphs import Backend, Graphs


class Recorder(Backend):
    """In place of CUDA: a replay calls again, and writes its outputs to where the recording wrote them."""

    kind = "cpu"

    def __init__(self):
        self.warm, self.captured, self.replays = 0, 0, 0

    def warm_up(self, call, device):
        assert device.type == "cpu"
        self.warm += 1

    def capture(self, call, device):
        self.captured += 1
        assert self.warm == self.captured, "what is recorded is warm"
        outputs = tuple(x.clone() for x in call())
        return (call, outputs), outputs

    def replay(self, graph):
        self.replays += 1
        call, outputs = graph
        for place, value in zip(outputs, call(), strict=True):
            place.copy_(value)


@pytest.fixture
def backend():
    return Recorder()


@pytest.fixture
def graphs(backend):
    return Graphs(most=3, backend=backend)


def doubled(x):
    return (2 * x,)


def replayed(graphs, *inputs, name="walk", walk=doubled, weights=()):
    with torch.no_grad():
        return graphs.replayed((name,), walk, inputs, weights)


OTHERS = {
    "shape": lambda x: torch.ones(3, 4),
    "dtype": lambda x: x.double(),
    "strides": lambda x: torch.ones(4, 2).T,
    "expanded": lambda x: torch.ones(1, 4).expand(2, 4),
}


@pytest.mark.parametrize("other", OTHERS)
def test_each_kind_of_input_is_recorded_once(graphs, backend, other):
    x = torch.ones(2, 4)
    for each in (x, OTHERS[other](x), x + 1, OTHERS[other](x)):
        assert torch.equal(replayed(graphs, each)[0], 2 * each)
    assert (backend.captured, backend.replays) == (2, 4)


@pytest.mark.parametrize("switch", ["allow_tf32", "benchmark", "deterministic"])
def test_each_of_torch_s_switches_is_recorded_by_itself(graphs, backend, switch):
    cudnn = torch.backends.cudnn
    for _ in range(2):
        replayed(graphs, torch.ones(2))
        with cudnn.flags(enabled=True, **{"allow_tf32": cudnn.allow_tf32, switch: not getattr(cudnn, switch)}):
            replayed(graphs, torch.ones(2))
    assert backend.captured == 2


def test_each_walk_is_recorded_by_itself(graphs, backend):
    for _ in range(2):
        assert replayed(graphs, torch.ones(1))[0] == 2
        assert replayed(graphs, torch.ones(1), name="other", walk=lambda x: (3 * x,))[0] == 3
    assert backend.captured == 2


def test_inputs_are_copied_and_outputs_are_the_caller_s_own(graphs):
    x = torch.ones(2)
    first = replayed(graphs, x, walk=lambda x: (x, x + 1))
    x.zero_()
    second = replayed(graphs, torch.full((2,), 5.0), walk=lambda x: (x, x + 1))
    assert [each[0].item() for each in (*first, *second)] == [1, 2, 5, 6]
    second[0].zero_()
    assert replayed(graphs, torch.full((2,), 7.0), walk=lambda x: (x, x + 1))[0][0] == 7


def test_inputs_lie_in_memory_as_those_of_a_direct_call(graphs):
    seen = []

    def walk(x):
        seen.append((x.shape, x.stride()))
        return (x.clone(),)

    image = torch.randn(2, 8, 6, 6)
    inputs = [image, image.contiguous(memory_format=torch.channels_last), image[:1].expand(3, -1, -1, -1)]
    for x in [*inputs, image[:, ::2, 1:, :4]]:
        assert torch.equal(replayed(graphs, x, walk=walk)[0], x) and set(seen) == {(x.shape, x.stride())}
        seen.clear()


def test_weights_are_read_where_they_lie_and_recorded_anew_where_they_changed(graphs, backend):
    weight = torch.ones(2)
    walk = lambda x: (weight * x,)  # noqa: E731
    for _ in range(2):
        assert replayed(graphs, torch.ones(2), walk=walk, weights=[weight])[0][0] == 1
    weight.fill_(3)
    assert replayed(graphs, torch.ones(2), walk=walk, weights=[weight])[0][0] == 3 and backend.captured == 2
    weight.data = torch.full((2,), 4.0)
    assert replayed(graphs, torch.ones(2), walk=walk, weights=[weight])[0][0] == 4 and backend.captured == 3


def test_nothing_is_recorded_with_gradients_autocast_inference_mode_or_elsewhere(graphs, backend):
    x = torch.ones(2, requires_grad=True)
    (graphs.replayed(("walk",), doubled, [x], [])[0].sum()).backward()
    assert torch.equal(x.grad, torch.full((2,), 2.0))
    with torch.autocast("cpu"):
        replayed(graphs, x)
    with torch.inference_mode():
        graphs.replayed(("walk",), doubled, [x], [])
    replayed(graphs, torch.ones(2, device="meta"))
    assert replayed(Graphs(), torch.ones(2))[0][0] == 2, "of CUDA, none is made on a CPU"
    assert backend.captured == backend.replays == 0


def test_the_one_that_was_not_used_for_longest_goes(graphs, backend):
    sizes = [torch.ones(n) for n in (1, 2, 3)]
    for x in (*sizes, sizes[0], torch.ones(4)):
        replayed(graphs, x)
    assert backend.captured == 4
    for x in (sizes[0], sizes[2], torch.ones(4)):
        replayed(graphs, x)
    assert backend.captured == 4, "these are kept"
    replayed(graphs, sizes[1])
    assert backend.captured == 5


def test_a_copy_starts_without_recordings(graphs):
    replayed(graphs, torch.ones(2))
    assert copy.deepcopy(graphs)._kept == {} and copy.deepcopy(graphs).most == graphs.most


def test_a_config_asks_for_them():
    for asked in (False, True):
        profile = load_profile(toy.ROOT / "configs/toy.yaml", [f"generator.cuda_graphs={asked}".lower()])
        assert (build_generator(profile).graphs is not None) == asked
        assert profile.training_digest == load_profile(toy.ROOT / "configs/toy.yaml").training_digest


GENERATORS = {"mobilestylegan": (MobileStyleGAN.load, "64.conv1")}
GENERATORS["stylegan2"] = (lambda: create(32, 1, seed=1), "16.conv1")


def edits_of(generator, site, device="cpu"):
    """Edits by two faces under two masks, the second with a tail layer too, and one of both as a batch."""
    source, *others = (generator.source(generator.w(generator.sample_z([seed]))) for seed in (0, 1, 2))
    cells = generator.site(site).resolution
    masks = torch.zeros(2, 1, cells, cells, device=device)
    masks[0, :, : cells // 4, 2:5], masks[1, :, cells // 2 :, cells // 2 :] = 0.7, 1.0
    late = {each.name: others[0].styles[each.name] for each in generator.after(site)}
    made = []
    for other in others:
        for mask in (masks[:1], masks[1:]):
            made.append((source, Edit(styles=other.styles, mask=mask)))
    made.append((source, Edit(styles=others[0].styles, mask=masks[1:], tail=TailLayer(late, masks[1:]))))
    both = {name: torch.cat([each.styles[name] for each in others]) for name in source.styles}
    return [*made, (source.repeat(2), Edit(styles=both, mask=masks))]


@torch.no_grad()
@pytest.mark.parametrize("name", GENERATORS)
def test_edits_by_recordings_have_the_bits_of_direct_ones(name, backend):
    make, site = GENERATORS[name]
    generator = make()
    edits = edits_of(generator, site)
    if name == "mobilestylegan":
        edits = [edits[0], edits[3]]  # two faces, two masks; pictures of 1024 px take their time
    direct = [render_blended(generator, *edit, site).image for edit in edits]
    generator.graphs = Graphs(backend=backend)
    found = [render_blended(generator, *edit, site).image for edit in edits]
    assert all(map(torch.equal, found, direct))
    batches = 2 if name == "stylegan2" else 1
    assert backend.captured == 2 * batches, "trunk and tail of each size of a batch"
    layered = sum(edit.tail is not None for _, edit in edits)
    assert backend.replays == 2 * len(edits) - layered, "a tail with layers is walked directly"


@torch.no_grad()
def test_weights_settings_and_energies_that_change_are_seen(backend):
    generator, site = create(32, 1, seed=1), "16.conv1"
    generator.graphs, last = Graphs(backend=backend), "16.rgb"
    source, edit = edits_of(generator, site)[0]

    def image():
        return finished(generator, source, blended_trunk(generator, source, edit.styles, edit.mask, site))

    def changed(change):
        before, captured = image(), backend.captured
        change()
        after, generator.graphs = image(), None
        assert torch.equal(after, image()) and not torch.equal(after, before) and backend.captured > captured
        generator.graphs = Graphs(backend=backend)

    weight = generator.layer(generator.site("8.conv1")).weight
    changed(lambda: weight.mul_(1.5).add_(0.1))
    assert weight in modulated_conv._energies, "computed from the weight outside of a recording"
    changed(lambda: setattr(generator, "bfloat16_after", last))
    generator.bfloat16_after = None
    changed(lambda: setattr(generator, "arithmetic", Arithmetic(impl="reference", kernels="reference")))


def on_a_gpu(test):
    """Marks a test that needs a GPU."""
    return pytest.mark.cuda(pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")(test))


@on_a_gpu
@torch.no_grad()
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("config", ["toy", "mobile"])
def test_edits_on_a_gpu_have_the_same_bits_with_cuda_graphs(config, dtype):
    from where2edit.editor import Editor, Step

    changes = [f"generator.dtype={dtype}", "generator.cuda_graphs=true"]
    editor = Editor(load_profile(toy.ROOT / f"configs/{config}.yaml", changes), "cuda")
    generator, graphs = editor.frozen.generator, Graphs()
    masks = torch.zeros(2, 1, editor.resolution, editor.resolution)
    masks[0, :, : editor.resolution // 4], masks[1, :, editor.resolution // 2 :, : editor.resolution // 2] = 1.0, 1.0
    steps = [Step(prompt, mask=mask[None]) for prompt in ("a big smile", "eyeglasses") for mask in masks]
    found = {}
    for generator.graphs in (None, graphs):
        source = editor.source(seed=3)
        results = [editor.edit(source, step) for _ in range(2) for step in steps]
        assert all(each.edit.certificate[0].leak_max == 0 for each in results)
        assert all(each.edit.certificate[0].changed > 0 for each in results)
        found[generator.graphs is None] = [each.image for each in (*results, *editor.session(source).edits(steps))]
    assert all(map(torch.equal, found[True], found[False]))
    assert graphs._kept, "walks were recorded"


@on_a_gpu
@torch.no_grad()
def test_a_gpu_is_not_waited_for_between_mask_and_picture():
    generator, site = create(64, 1, seed=1).to("cuda").lay_out(), "16.conv1"
    generator.graphs = Graphs()
    edits = edits_of(generator, site, "cuda")
    for mode in ("default", "error"):  # the first time kernels are built, walks recorded, trials of locality made
        torch.cuda.set_sync_debug_mode(mode)
        try:
            for edit in edits:
                render_blended(generator, *edit, site)
        finally:
            torch.cuda.set_sync_debug_mode("default")

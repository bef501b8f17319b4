"""Colours after the blend site: which of them a prompt names, where they belong, and what they bring."""

import pytest
import torch
import torch.nn.functional as F
import toy_cases as toy

from where2edit.core.records import Condition
from where2edit.editing.face_parts import PARTS, part_ids
from where2edit.editing.mappers.base import build_mapper
from where2edit.editing.mappers.colour_shifts import ALONE, CLOSE, FADE, ColourShifts
from where2edit.generators.stylegan2 import create

SITES = ("32.conv0", "32.conv1", "32.rgb")
SIZE = 16


def filled(colours, seed=0):
    """Orthogonal words for the colours, one of hair, one of lips and one of apples, which fades."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        count, width = colours.colour_embeddings.shape
        colours.colour_embeddings.copy_(torch.linalg.qr(torch.randn(width, width, generator=draw))[0][:count])
        colours.colour_shifts.copy_(torch.randn(colours.colour_shifts.shape, generator=draw))
        colours.shrinkage.copy_(torch.rand(colours.shrinkage.shape, generator=draw))
        for row, part in zip(colours.colour_parts, ("hair", "lips", "apples"), strict=True):
            row[list(part_ids(part))] = 1.0
        colours.colour_fades[2] = 1.0
    return colours


@pytest.fixture
def colours():
    return filled(ColourShifts(3, 20, SITES, 6))


def towards(colours, *cosines):
    """An embedding [1,D], of any length, with these cosines to the colours' words."""
    words = colours.colour_embeddings.detach()
    rest = torch.linalg.svd(words)[2][len(words)]  # orthogonal to all of them
    cosines = torch.tensor(cosines)
    return 7 * (cosines @ words[: len(cosines)] + (1 - cosines.square().sum()) ** 0.5 * rest)[None]


def close(cosine):
    return min(max((cosine - CLOSE[0]) / (CLOSE[1] - CLOSE[0]), 0), 1)


@pytest.mark.parametrize(
    "cosines",
    [(1.0,), (0.0,), (CLOSE[0],), (0.5,), (CLOSE[1],), (0.6, 0.5), (0.5, 0.6, 0.4), (0.7, 0.7), (-0.9, 0.4)],
)
def test_weights_follow_closeness_and_favour_the_closest(colours, cosines):
    found = colours.weights(towards(colours, *cosines))[0]
    closeness = [close(c) for c in (*cosines, 0, 0)[:3]]
    total = sum(c * c for c in closeness)
    expected = [max(closeness) * c * c / total if total else 0.0 for c in closeness]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert found.sum().item() == pytest.approx(max(closeness), abs=1e-4), "as much in all as the closest alone"


def test_words_for_a_colour_alone_fade_everything_else_out(colours):
    low, high = ALONE
    for cosine, expected in ((0.5, 0), (low, 0), ((low + high) / 2, 0.5), (high, 1), (1.0, 1)):
        assert colours.alone(towards(colours, cosine)).item() == pytest.approx(expected, abs=1e-4)
        assert colours.alone(towards(colours, 0, cosine)).item() == pytest.approx(expected, abs=1e-4)


def test_shifts_and_shrinkage_are_weighted_sums_at_the_strength(colours):
    h = torch.cat([towards(colours, 0.6, 0.5), towards(colours, 0, 0, 1.0), towards(colours, 0.1)])
    strength = torch.tensor([[0.1], [0.2], [0.3]])
    found, weights = colours(Condition(h, h, strength=strength)), colours.weights(h)
    assert tuple(found) == SITES
    for number, name in enumerate(SITES):
        for part, kept in zip(found[name], (colours.colour_shifts, colours.shrinkage), strict=True):
            expected = torch.stack(
                [sum(strength[row] * weights[row, p] * kept[p, number] for p in range(3)) for row in range(3)]
            )
            assert torch.allclose(part, expected, atol=1e-6) and not part.requires_grad
            assert part[0].any() and part[1].any() and not part[2].any()


def cells(**areas):
    """Shares [1,16,16,25]: background but for `areas`, part = (rows, columns, share)."""
    shares = torch.zeros(1, SIZE, SIZE, len(PARTS))
    for part, (rows, columns, share) in areas.items():
        shares[0, rows, columns, PARTS.index(part)] = share
    shares[..., 0] = 1 - shares.sum(-1)
    return shares


TOP, LEFT, RIGHT, ALL = slice(0, 4), slice(0, 8), slice(8, 16), slice(None)


def test_a_colour_belongs_where_its_parts_take_up_half_of_a_cell(colours):
    seen = cells(hair=(TOP, LEFT, 0.5), nose=(TOP, RIGHT, 1.0))
    seen[0, TOP, RIGHT] = cells(hair=(TOP, RIGHT, 0.49))[0, TOP, RIGHT]
    found = colours.share(towards(colours, 1.0), seen)
    expected = torch.zeros(1, 1, SIZE, SIZE)
    expected[..., TOP, LEFT] = 1
    assert torch.equal(found, expected)
    lips = cells(u_lip=(TOP, LEFT, 0.3))
    lips[0, TOP, LEFT, PARTS.index("l_lip")] = 0.2
    assert torch.equal(colours.share(towards(colours, 0, 1.0), lips), expected), "several parts count together"


def test_two_colours_share_by_their_weights_and_other_prompts_have_none(colours):
    seen = cells(hair=(TOP, ALL, 1.0), u_lip=(slice(8, 9), ALL, 1.0)).expand(2, -1, -1, -1)
    h = torch.cat([towards(colours, 0.6, 0.5), towards(colours, 0.2)])
    found, weights = colours.share(h, seen), colours.weights(h[:1])[0]
    assert found[0, 0, 0, 0].item() == pytest.approx((weights[0] / weights.sum()).item(), abs=1e-5)
    assert found[0, 0, 8, 0].item() == pytest.approx((weights[1] / weights.sum()).item(), abs=1e-5)
    assert not found[0, 0, 12].any() and not found[1].any()


def test_a_colour_that_fades_goes_over_into_nothing(colours):
    found = colours.share(towards(colours, 0, 0, 1.0), cells(apples=(ALL, LEFT, 1.0)))[0, 0, SIZE // 2]
    belongs = (torch.arange(SIZE) < 8).float()
    padded = F.pad(belongs, (FADE // 2, FADE // 2))
    expected = torch.stack([padded[i : i + FADE].mean() for i in range(SIZE)])
    inner = slice(FADE // 2, SIZE - FADE // 2)
    assert torch.allclose(found[inner], expected[inner], atol=1e-6)
    assert (found[4:13].diff() < 0).all() and 0 < found[9] < found[7] < 1


def test_a_colour_that_fades_works_under_autocast_too(colours):
    what = (towards(colours, 0, 0, 1.0), cells(apples=(ALL, LEFT, 1.0)))
    plain = colours.share(*what)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = colours.share(*what)
    assert (found - plain).abs().max() < 0.01


@pytest.fixture(scope="module")
def mapper():
    """A mapper of a 32 px generator that is blended at 16 px, with three colours."""
    torch.manual_seed(0)
    net = create(32, 1, seed=1)
    config = toy.mapper(colours=("Blue_Hair", "Red_Lips", "Rosy_Cheeks"))
    built = build_mapper(net, "16.conv1", toy.encoder().dim, config)
    filled(built.colours)
    with torch.no_grad():
        source = net.source(net.w(net.sample_z([0, 1])))
    return built.requires_grad_(False), source


def condition(built, *cosines, strength=0.1):
    h = torch.cat([towards(built.colours, *each) for each in cosines])
    return Condition(h, h, strength=strength)


def test_only_the_sites_after_the_blend_site_get_a_colour(mapper):
    built, source = mapper
    assert built.colours.sites == SITES
    asked = condition(built, (1.0,), (0.0, 0.0))
    u, lengths = built(source, asked)
    layer = built.tail(source, asked, None)
    assert tuple(layer.styles) == SITES and all(torch.equal(u[name], source.styles[name]) for name in SITES)
    assert not lengths[0].any() and lengths[1].all(), "a colour alone moves nothing before the blend site"
    for name, style in layer.styles.items():
        assert not torch.equal(style[0], source.styles[name][0])
        assert torch.equal(style[1], source.styles[name][1]), (
            "a prompt without a colour keeps the source's, bit for bit"
        )


def test_no_colour_no_layer(mapper):
    built, source = mapper
    assert built.tail(source, condition(built, (0.1,), (0.2, 0.3)), None) is None


def test_a_layer_is_affine_in_the_strength_and_zero_is_exact(mapper):
    built, source = mapper
    made = {
        strength: built.tail(source, condition(built, (1.0,), (0.6, 0.5), strength=strength), None).styles
        for strength in (0.0, 0.1, 0.2)
    }
    for name in SITES:
        s = source.styles[name]
        assert torch.equal(made[0.0][name], s) and not torch.equal(made[0.1][name], s)
        assert torch.allclose(made[0.2][name] - s, 2 * (made[0.1][name] - s), atol=1e-4)


def test_a_reversed_edit_has_no_colour_and_the_whole_of_the_other_shifts(mapper):
    """The opposite of a colour is another colour, not its absence."""
    built, source = mapper
    reverse = condition(built, (1.0,), (1.0,), strength=-0.1)
    assert built.tail(source, reverse, None) is None
    assert torch.equal(built.colours.fading(reverse), torch.ones(2, 1))
    assert built.colours.fading(condition(built, (1.0,), (1.0,))).amax() < 1
    each = condition(built, (1.0,), (1.0,), strength=torch.tensor([[0.1], [-0.1]]))
    styles = built.tail(source, each, None).styles
    for name in SITES:
        assert torch.equal(styles[name][1], source.styles[name][1])
        assert not torch.equal(styles[name][0], source.styles[name][0])


def test_two_prompts_fill_the_whole_mask_with_the_colour(mapper):
    built, source = mapper
    one = condition(built, (1.0,), (1.0,))
    seen = cells(hair=(TOP, ALL, 1.0)).expand(2, -1, -1, -1)
    assert torch.equal(built.tail(source, one, seen).mask, built.colours.share(one.h, seen))
    where = condition(built, (0.0, 1.0), (0.0, 1.0))
    for layer in (built.tail(source, one, None), built.tail(source, Condition(one.h, where.h, strength=0.1), seen)):
        assert torch.equal(layer.mask, torch.ones(2, 1, 1, 1))

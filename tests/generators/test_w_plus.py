"""W+ of StyleGAN2 on generators with other codes: each site gets the code of its resolution and role."""

import pytest
import torch

from where2edit.generators.base import w_plus_index
from where2edit.generators.mobilestylegan import MobileStyleGAN
from where2edit.generators.stylegan2 import StyleGAN2


@pytest.fixture(scope="module")
def mobile():
    with torch.device("meta"):
        return MobileStyleGAN()


def numbered(codes):
    """w [1,codes,512] in which every code says its number."""
    return torch.arange(float(codes))[None, :, None].expand(1, codes, 512)


def test_each_site_gets_the_code_of_the_same_site_of_stylegan2(mobile):
    with torch.device("meta"):
        teacher = StyleGAN2(1024)
    w = mobile.from_w_plus(numbered(18))
    assert w.shape == (1, 23, 512)
    read = {site.name: w[0, mobile.w_index(site), 0].item() for site in mobile.sites}
    own = {site.name: teacher.w_index(site) for site in teacher.sites}
    assert all(read[name] == own[name] for name in read if name in own)
    assert {name for name in read if name not in own} == {f"{2**n}.up" for n in range(3, 10)}
    assert all(read[name] == own[name.replace("up", "conv0")] for name in read if name.endswith("up"))
    assert (read["4.conv1"], read["64.conv0"], read["64.conv1"], read["512.conv1"], read["1024.rgb"]) == (
        0,
        7,
        8,
        14,
        17,
    )


def test_its_own_codes_and_a_single_one_stay_what_they_are(mobile):
    assert torch.equal(mobile.from_w_plus(numbered(23)), numbered(23)) and not mobile.has_w_plus(numbered(23))
    assert torch.equal(mobile.from_w_plus(torch.ones(1, 512)), torch.ones(1, 23, 512))
    assert mobile.has_w_plus(numbered(18)) and not mobile.has_w_plus(numbered(17))


@pytest.mark.parametrize("resolution", [8, 64, 1024])
def test_stylegan2_reads_its_w_plus_as_it_is(resolution):
    with torch.device("meta"):
        generator = StyleGAN2(resolution, 1)
    w = numbered(generator.num_w)
    assert generator.from_w_plus(w) is w and not generator.has_w_plus(w)
    assert [generator.w_index(site) for site in generator.sites] == [w_plus_index(site) for site in generator.sites]

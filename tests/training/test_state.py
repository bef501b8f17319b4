"""The snapshot of a run with each kind of Adam: it goes on with the same bits, and with its steps where they belong."""

import pytest
import torch
from torch import nn

from where2edit.training.state import STATE, load_state, save_state


def begun(fused):
    torch.manual_seed(0)
    net = nn.Linear(5, 3)
    return net, torch.optim.Adam(net.parameters(), lr=0.01, fused=fused)


def step(net, optimizer, number):
    optimizer.zero_grad()
    net(torch.full((2, 5), 1.0 + number)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, fused, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    with torch.device(device):
        whole, optimizer = begun(fused)
        for number in range(5):
            if number == 3:
                save_state(tmp_path / STATE, whole, optimizer, number, "run")
            step(whole, optimizer, number)
        resumed, optimizer = begun(fused)
        assert load_state(tmp_path / STATE, resumed, optimizer, "run")[0] == 3
        for state in optimizer.state.values():
            assert state["step"].item() == 3
            assert state["step"].device.type == (device if fused else "cpu") and state["exp_avg"].device.type == device
        for number in (3, 4):
            step(resumed, optimizer, number)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))

"""What every test shares."""

import pytest
import torch


@pytest.fixture(autouse=True)
def same_number_of_threads():
    """No test leaves another number of threads behind: sums of a later test would round differently."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

"""What every test shares."""

import pytest
import torch
import toy_cases


@pytest.fixture(autouse=True)
def same_number_of_threads():
    """No test leaves another number of threads behind, nor sources that were computed with it: sums round otherwise."""
    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)
        toy_cases.sources.cache_clear()

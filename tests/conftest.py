"""What every test shares."""

import pytest
import torch
import toy_cases

THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def same_number_of_threads():
    """Every test starts with the same number of threads, whatever a test or a fixture before it has set.

    Sums round differently with another number; sources that were computed with it are computed anew.
    """
    _restore()
    yield
    _restore()


def _restore():
    if torch.get_num_threads() != THREADS:
        torch.set_num_threads(THREADS)
        toy_cases.sources.cache_clear()

"""The garbage collector as it is in the product, for what is measured in this process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from cli.serving import GC_THRESHOLDS


@contextmanager
def as_in_the_product() -> Iterator[None]:
    """With the thresholds of our processes; the collector never walks over what was there before."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)

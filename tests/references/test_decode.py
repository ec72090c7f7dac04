"""DQ_DEF of reference files, against the function by which jwst reads it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdatamodels.dynamicdq import dynamic_mask
from stdatamodels.jwst.datamodels.dqflags import pixel

from nrsdark_xr.detector import DQ
from nrsdark_xr.references.decode import translate

TABLE = [("VALUE", "i4"), ("NAME", "U40")]
names = st.sampled_from(["HOT", "DEAD ", "REFERENCE_PIXEL", "hot", "NO_SUCH_FLAG", "GOOD", ""])
values = st.one_of(st.sampled_from([1, 2, 1 << 30, -(1 << 31)]), st.integers(0, 7))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(values, names), max_size=5),
    dq=st.lists(st.integers(0, (1 << 32) - 1) | st.integers(0, 7), min_size=1, max_size=8),
)
def test_flags_are_translated_as_by_jwst(rows: list[tuple[int, str]], dq: list[int]) -> None:
    model = SimpleNamespace(dq=np.array(dq, np.uint32), dq_def=np.array(rows, TABLE))
    translated = translate(model.dq, model.dq_def)
    np.testing.assert_array_equal(translated, dynamic_mask(model, pixel))
    assert translated.dtype == np.uint32


@pytest.mark.parametrize("definitions", [None, np.array([], TABLE)])
def test_flags_without_definitions_stay(definitions: np.ndarray | None) -> None:
    dq = np.array([0, 1 << 31, DQ.HOT], np.uint32)
    np.testing.assert_array_equal(translate(dq, definitions), dq)

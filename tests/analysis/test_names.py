from __future__ import annotations

import subprocess
import sys

import pytest

from nrsdark_xr import analysis


def test_every_public_name_is_there():
    for name in analysis.__all__:
        assert getattr(analysis, name) is not None
    assert sorted(analysis.__all__) == dir(analysis)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analysis.nothing


def test_the_gates_do_not_cost_matplotlib():
    code = "import sys, nrsdark_xr.analysis.gates; print('matplotlib' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"

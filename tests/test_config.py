from __future__ import annotations

from pathlib import Path

import pytest

from nrsdark_xr.config import RunConfig
from nrsdark_xr.errors import NrsdarkError

RUN = """
name: nrs1-subs200a1
inputs: raw/*_uncal.fits
store: ramps.zarr
output: products
references:
  mask: refs/mask.fits
  saturation: refs/saturation.fits
  linearity: refs/linearity.fits
  gain: refs/gain.fits
  readnoise: s3://bucket/readnoise.fits
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(RUN)
    return path


def test_relative_paths_count_from_the_folder_of_the_file(run_file, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    config = RunConfig.load(run_file)
    assert config.inputs == (f"{tmp_path}/raw/*_uncal.fits",)
    assert config.store == f"{tmp_path}/ramps.zarr"
    assert config.references.mask == f"{tmp_path}/refs/mask.fits"
    assert config.references.readnoise == "s3://bucket/readnoise.fits"
    assert config.product("dark.fits").place == tmp_path / "products" / "nrs1-subs200a1_dark.fits"


def test_defaults_are_those_of_the_report(run_file):
    config = RunConfig.load(run_file)
    assert config.min_inputs == 3
    assert config.on_error == "stop"
    assert config.prepare.jump.rejection_threshold == 4.0
    assert config.average.clip.sigma == 3.0
    assert config.analyze.min_snr == 2.5


def test_overrides_beat_the_file(run_file):
    config = RunConfig.load(
        run_file, ["min_inputs=5", "prepare.jump.rejection_threshold=5.5", "name=other"]
    )
    assert config.min_inputs == 5
    assert config.prepare.jump.rejection_threshold == 5.5
    assert config.name == "other"


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("imputs: x", "unknown key 'imputs'; did you mean 'inputs'?"),
        ("prepare: {jumps: {}}", "unknown key 'prepare.jumps'; did you mean 'jump'?"),
        (
            "prepare: {jump: {rejection_treshold: 3}}",
            "unknown key 'prepare.jump.rejection_treshold'; did you mean 'rejection_threshold'?",
        ),
        ("zzz: 1", "unknown key 'zzz'; known keys: name, inputs"),
        ("min_inputs: many", "min_inputs: input should be a valid integer"),
        ("on_error: ignore", "on_error: input should be 'stop' or 'skip' (given: 'ignore')"),
        ("useafter: 2024-01-01", "useafter: must be a date and time such as 2024-01-01T00:00:00"),
        ("useafter: '2024-13-01T00:00:00'", "useafter: must be a date and time such as"),
        ("selection: {first_date: 2024-13-01}", "has a date that there is not: month must be in"),
        ("ramps: {quantum: 0.3}", "ramps.quantum: must be a power of two, such as"),
    ],
)
def test_what_is_wrong_is_named(run_file, addition, message):
    run_file.write_text(RUN + addition + "\n")
    with pytest.raises(NrsdarkError) as error:
        RunConfig.load(run_file)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{run_file}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("quote", ["", "'"])
def test_useafter_may_be_quoted_or_not(run_file, quote):
    run_file.write_text(f"{RUN}useafter: {quote}2024-07-01T12:00:00{quote}\n")
    assert RunConfig.load(run_file).useafter == "2024-07-01T12:00:00"
    assert RunConfig.load(run_file, ["useafter=null"]).useafter is None


def test_a_misspelled_key_is_not_told_as_missing(run_file):
    run_file.write_text(RUN.replace("store:", "stor:"))
    with pytest.raises(NrsdarkError, match="unknown key 'stor'; did you mean 'store'"):
        RunConfig.load(run_file)


def test_missing_key(run_file):
    run_file.write_text(RUN.replace("store: ramps.zarr\n", ""))
    with pytest.raises(NrsdarkError, match="the key 'store' is missing"):
        RunConfig.load(run_file)


@pytest.mark.parametrize("content", ["[1, 2]", "just words", ""])
def test_no_mapping(run_file, content):
    run_file.write_text(content)
    with pytest.raises(NrsdarkError, match="holds no mapping"):
        RunConfig.load(run_file)


def test_broken_yaml_tells_the_line(run_file):
    run_file.write_text("name: x\ninputs: [a, b\nstore: y\n")
    with pytest.raises(NrsdarkError, match="not valid YAML in line 3"):
        RunConfig.load(run_file)


def test_yaml_builds_no_objects(run_file):
    run_file.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(NrsdarkError, match="not valid YAML"):
        RunConfig.load(run_file)


def test_missing_file(tmp_path):
    with pytest.raises(NrsdarkError, match="no such file"):
        RunConfig.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize("name", ["../escape", "a b", "", ".hidden"])
def test_a_name_never_becomes_another_folder(run_file, name):
    with pytest.raises(NrsdarkError, match="name: "):
        RunConfig.load(run_file, [f"name={name!r}"])


@pytest.mark.parametrize(
    "override", ["min_inputs", "=3", "name.deeper=1", "inputs=[", "selection.first_date=2024-02-30"]
)
def test_bad_override(run_file, override):
    with pytest.raises(NrsdarkError, match="--set"):
        RunConfig.load(run_file, [override])

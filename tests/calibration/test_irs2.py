"""The IRS2 correction and what hangs on it, against jwst's own functions."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwst.refpix import irs2_subtract_reference as jwst_irs2
from jwst.refpix import reference_pixels as jwst_refpix
from jwst.saturation.saturation import irs2_flag_saturation
from stdatamodels.jwst import datamodels

from nrsdark_xr.calibration import CalibrationParameters, bias_groups, calibrate_exposure
from nrsdark_xr.calibration.irs2_bad_reference import flag_bad_rows, replacements
from nrsdark_xr.calibration.irs2_look import look_at_exposure, look_at_levels
from nrsdark_xr.calibration.irs2_samples import Asked, Irs2Samples
from nrsdark_xr.calibration.irs2_saturation import SaturationLook
from nrsdark_xr.calibration.irs2_signals import subtract_line
from nrsdark_xr.calibration.irs2_transform import from_frequencies, real_part, to_frequencies
from nrsdark_xr.calibration.saturation import usable_thresholds
from nrsdark_xr.detector import DETECTOR_SIZE, DETECTORS, DQ, irs2
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.references import ReferencePaths, clear_hot
from nrsdark_xr.references.irs2 import Irs2Weights
from nrsdark_xr.steps.stock_engine import calibrate_with_jwst
from tests.calibration.irs2_synthetic import (
    irs2_model,
    make_irs2_case,
    ramp_model,
    write_irs2_case,
)
from tests.calibration.synthetic import ArrayBuffer, ArrayReader, Case, label, make_case
from tests.waiting import PATIENCE

OF_CORRECTION = 1e-5
"""Allowed difference, in standard deviations of the correction."""
OF_SAMPLE = 2**-23
"""Allowed difference, relative to the largest sample of a ramp: float32 has no finer step."""
ELSEWHERE = 2
"""Jumps right at their threshold that may differ, in terms of those counted on one machine: others
round otherwise."""


DEFAULTS = CalibrationParameters()
WITH_LEVELS = CalibrationParameters.model_validate({"refpix": {"irs2_mean_subtraction": True}})


def jwst_correction(
    case: Case, parameters: CalibrationParameters, *, preserve: bool
) -> tuple[datamodels.RampModel, np.ndarray]:
    """The steps of ``RefPixStep``; also the samples before the last of them."""
    model = ramp_model(case)
    jwst_irs2.flag_bad_refpix(model, n_sigma=3.0, flag_only=True)
    refpix = parameters.refpix
    if refpix.irs2_mean_subtraction:
        side = {"refpix_algorithm": "median", "sirs_kernel_model": None}
        side |= {"sigreject": 4.0, "gaussmooth": 1.0, "halfwidth": 30}  # not looked at
        jwst_refpix.correct_model(
            model, refpix.odd_even_columns, False, 11, 1.0, True, side, refpix.siglimit
        )
    jwst_irs2.flag_bad_refpix(model, replace_only=True)
    before = model.data.copy()
    weights = irs2_model(case.references.irs2, case.exposure)
    jwst_irs2.correct_model(model, weights, preserve_refpix=preserve)
    return model, before


def assert_corrected_alike(
    ours: np.ndarray, stock: np.ndarray, before: np.ndarray, correction: np.ndarray
) -> None:
    """Compare groups of the same rows; `before` (…, group, y, x) has all of them."""
    largest = np.abs(before).max(axis=-3, keepdims=True)
    allowed = OF_CORRECTION * correction.std() + OF_SAMPLE * largest
    worst = np.max(np.abs(ours - stock) - allowed)
    assert worst <= 0, worst


def corrected(case: Case, parameters: CalibrationParameters) -> tuple[np.ndarray, np.ndarray]:
    """Our samples (integration, group, y, x) before linearity, and PIXELDQ."""
    threshold, dq = usable_thresholds(case.references.saturation, case.references.saturation_dq)
    references = case.references.replace(saturation=threshold, saturation_dq=np.zeros_like(dq))
    identity = np.zeros((2, DETECTOR_SIZE, DETECTOR_SIZE), np.float32)
    identity[1] = 1.0
    references = references.replace(
        linearity=identity, linearity_dq=np.zeros_like(dq), superbias_dq=None
    )
    samples, pixeldq = Irs2Samples.look(
        ArrayReader(case.raw), case.exposure, references, parameters, threads=2
    )
    n_integrations, n_groups = case.raw.shape[:2]
    ramp = np.empty((n_integrations, n_groups, DETECTOR_SIZE, DETECTOR_SIZE), np.float32)
    flags = np.empty((n_groups, DETECTOR_SIZE, DETECTOR_SIZE), np.uint8)
    for integration in range(n_integrations):
        samples.fill(integration, slice(0, DETECTOR_SIZE), ramp=ramp[integration], groupdq=flags)
    return ramp, pixeldq


def assert_corrects_as_jwst(case: Case, parameters: CalibrationParameters = DEFAULTS) -> None:
    rows = irs2.science_rows(case.exposure.detector)
    stock, before = jwst_correction(case, parameters, preserve=False)
    ours, pixeldq = corrected(case, parameters)
    np.testing.assert_array_equal(pixeldq, stock.pixeldq)
    before = before[:, :, rows]
    assert_corrected_alike(ours, stock.data, before, before - stock.data)


def assert_preserves_as_jwst(case: Case, parameters: CalibrationParameters = DEFAULTS) -> None:
    """What `bias_groups` gives is what jwst leaves, but for a level of amplifier and parity."""
    case = Case(case.exposure, case.raw, case.references.replace(superbias=None))
    detector = case.exposure.detector
    stock, before = jwst_correction(case, parameters, preserve=True)
    scale = np.float32(case.exposure.frame_divisor / case.exposure.n_frames)
    correction = before[0, :2] - stock.data[0, :2]
    ours = bias_groups(ArrayReader(case.raw), case.exposure, 0, case.references, parameters)
    expected = stock.data[0, :2].copy()
    rows = irs2.science_rows(detector)
    for band in irs2.output_rows(detector)[1:]:
        inside = rows[(rows >= band.start) & (rows < band.stop)]
        for parity in (0, 1):
            chosen = inside[parity::2]
            taken = case.raw[0, 0, chosen] * scale - stock.data[0, 0, chosen]
            expected[:, chosen] += taken.mean(dtype=np.float64)
    assert_corrected_alike(ours, expected, case.raw[0] * scale, correction[:, rows])


@pytest.mark.parametrize(
    ("detector", "n_frames", "parameters"), [("NRS1", 1, DEFAULTS), ("NRS2", 5, WITH_LEVELS)]
)
def test_corrects_as_jwst(detector, n_frames, parameters):
    assert_corrects_as_jwst(make_irs2_case(detector, n_groups=3, n_frames=n_frames), parameters)


def test_preserves_reference_samples_as_jwst():
    assert_preserves_as_jwst(make_irs2_case("NRS2", n_groups=3, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS)
def test_levels_of_integrations_are_subtracted_as_by_jwst(detector):
    case = make_irs2_case(detector, n_groups=3, n_integrations=2, n_frames=5, seed=4)
    assert_corrects_as_jwst(case)
    assert_corrects_as_jwst(case, WITH_LEVELS)
    one_level = WITH_LEVELS.refpix.model_copy(update={"odd_even_columns": False})
    assert_corrects_as_jwst(case, CalibrationParameters(refpix=one_level))


@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS)
def test_preserved_samples_lose_their_levels_as_in_jwst(detector):
    assert_preserves_as_jwst(make_irs2_case(detector, n_groups=3, seed=5), WITH_LEVELS)


def test_the_line_is_subtracted_bit_by_bit_as_by_jwst():
    """A sample that comes out as 0 counts as not read: it must be the same ones."""
    rng = np.random.default_rng(5)
    samples = rng.normal(0, 40, (irs2.OUTPUT_ROWS, DETECTOR_SIZE)).astype(np.float32)
    samples += np.linspace(-60, 60, DETECTOR_SIZE, dtype=np.float32)
    samples[rng.random(samples.shape) < 0.01] = 0
    in_time = np.zeros((5, 1, DETECTOR_SIZE, irs2.LINE_TICKS), np.float32)
    in_time[:, 0][..., irs2.sample_ticks()] = samples.T
    jwst_irs2.remove_slopes(in_time, 1, DETECTOR_SIZE, irs2.LINE_TICKS)
    subtract_line(samples)
    np.testing.assert_array_equal(samples.T, in_time[0, 0][:, irs2.sample_ticks()])


@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS)
def test_many_groups_and_integrations_are_corrected_as_by_jwst(detector):
    assert_corrects_as_jwst(make_irs2_case(detector, n_groups=20))
    assert_preserves_as_jwst(make_irs2_case(detector, n_groups=20, seed=2))
    assert_corrects_as_jwst(make_irs2_case(detector, n_groups=4, n_integrations=2, n_frames=5))


def test_transforms_rows_as_if_they_were_in_time_order():
    rng = np.random.default_rng(2)
    frame = rng.standard_normal((irs2.LINE_TICKS, DETECTOR_SIZE)).astype(np.float32)
    frame[::3] = 0
    source = np.arange(irs2.LINE_TICKS)
    source[::3] = -1
    weights = rng.standard_normal((2, irs2.FRAME_TICKS)).T.copy().view(np.complex128)[:, 0]
    in_time = frame.T.astype(np.float64).ravel()
    spectrum = np.fft.fft(in_time)
    ours = to_frequencies(frame, source)
    arranged = spectrum.reshape(irs2.LINE_TICKS, DETECTOR_SIZE)[:, : ours.shape[1]]
    np.testing.assert_allclose(ours, arranged, atol=1e-5 * np.abs(spectrum).std())

    expected = np.fft.ifft(spectrum * weights).real.reshape(DETECTOR_SIZE, irs2.LINE_TICKS).T
    ticks = np.array([0, 5, 711])
    back = from_frequencies(ours * real_part(weights.astype(np.complex64)), ticks)
    np.testing.assert_allclose(back, expected[ticks], atol=1e-5 * expected.std())


@settings(deadline=None, max_examples=12)
@given(
    detector=st.sampled_from(DETECTORS),
    known=st.lists(st.integers(0, irs2.IRS2_RAW_ROWS - 1), max_size=60),
    odd=st.lists(st.integers(0, 319), max_size=6),
    table=st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(0, 2**32 - 1)), max_size=8
    ),
    n_sigma=st.sampled_from([3.0, 2.5]),
)
def test_bad_reference_samples_are_found_and_replaced_as_by_jwst(
    detector, known, odd, table, n_sigma
):
    rng = np.random.default_rng(len(known) + 100 * len(odd))
    raw = rng.normal(9000, 6, (1, 2, irs2.IRS2_RAW_ROWS, 8)).round().astype(np.uint16)
    pairs = np.flatnonzero(np.tile(irs2.is_reference_sample(), irs2.OUTPUTS))[::2]
    raw[:, :, pairs[odd]] += 60
    case = make_small_case(detector, raw)
    mask = np.zeros(raw.shape[2:], np.uint32)
    mask[known, 3] = np.uint32(DQ.BAD_REF_PIXEL)
    model = ramp_model(Case(case.exposure, raw, case.references.replace(mask=mask)))
    jwst_irs2.flag_bad_refpix(model, n_sigma=n_sigma, flag_only=True)
    jwst_irs2.flag_bad_refpix(model, replace_only=True)
    flagged = (model.pixeldq & np.uint32(DQ.BAD_REF_PIXEL)).any(axis=1)

    bias = np.zeros(raw.shape[2:], np.float32)
    levels = look_at_levels(ArrayReader(raw), case.exposure, 0, bias, threads=1)
    bad = flag_bad_rows([levels.pairs], (mask != 0).any(axis=1), n_sigma=n_sigma)
    np.testing.assert_array_equal(bad, flagged)

    output, odd_even, bits = np.array(table, np.int64).reshape(-1, 3).T
    weights = Irs2Weights(None, None, output, odd_even, bits.astype(np.uint32))
    turned = np.swapaxes(model.data, 2, 3)
    turned = turned if detector == "NRS1" else turned[..., ::-1, ::-1]
    flags = flagged if detector == "NRS1" else flagged[::-1]
    reference = np.tile(irs2.is_reference_sample(), irs2.OUTPUTS)
    jwst_irs2.clobber_ref(turned, output, odd_even, bits.astype(np.uint32), flags.copy(), reference)
    first, second = replacements(bad, weights, detector)
    data = raw[0].astype(np.float32)
    ours = (data[:, first] + data[:, second]) / 2
    ours[:, first < 0] = 0
    np.testing.assert_array_equal(ours, model.data[0])


def make_small_case(detector: str, raw: np.ndarray) -> Case:
    """An exposure of a few columns, for what needs no transform."""
    case = make_case(detector, "SUB32", n_groups=2)
    n_integrations, n_groups, _, n_columns = raw.shape
    exposure = replace(
        case.exposure, readpatt="NRSIRS2RAPID", n_groups=n_groups, n_integrations=n_integrations,
        subarray="FULL", xsize=n_columns, ysize=DETECTOR_SIZE, raw_shape=raw.shape,
    )  # fmt: skip
    return Case(exposure, raw, case.references.replace(superbias=None))


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("n_frames", [1, 5])
@pytest.mark.parametrize("grow", [0, 1, 2])
def test_saturates_as_in_jwst(detector, n_frames, grow):
    rng = np.random.default_rng(n_frames)
    n_columns = 40
    raw = rng.integers(0, 9000, (1, 4, irs2.IRS2_RAW_ROWS, n_columns)).astype(np.uint16)
    raw[raw < 40] = 0
    case = make_small_case(detector, np.sort(raw, axis=1))
    divisor = 8 if n_frames == 5 else 1
    exposure = replace(case.exposure, n_frames=n_frames, frame_divisor=divisor)
    shape = (DETECTOR_SIZE, n_columns)
    limit = 9000 * divisor / n_frames * 0.95
    threshold = rng.normal(limit, limit / 60, shape).astype(np.float32)
    threshold[rng.random(shape) < 0.01] = np.nan
    dq = np.where(rng.random(shape) < 0.01, np.uint32(DQ.NO_SAT_CHECK), np.uint32(0))
    bias = rng.normal(100, 50, (irs2.IRS2_RAW_ROWS, n_columns)).astype(np.float32)
    bias[5, 5] = np.nan
    mask = np.zeros(bias.shape, np.uint32)
    model = ramp_model(Case(exposure, case.raw, case.references.replace(mask=mask)))
    thresholds = datamodels.SaturationModel(data=threshold.copy(), dq=dq.copy())
    label(thresholds, replace(exposure, ysize=DETECTOR_SIZE))
    stock = irs2_flag_saturation(
        model, thresholds, grow, True, datamodels.SuperBiasModel(data=bias)
    ).groupdq[0][:, irs2.science_rows(detector)]

    usable, usable_dq = usable_thresholds(threshold, dq)
    references = case.references.replace(saturation=usable, saturation_dq=usable_dq, superbias=bias)
    parameters = CalibrationParameters.model_validate(
        {"saturation": {"n_pix_grow_sat": grow}}
    ).saturation
    look = SaturationLook(exposure, references, np.zeros(shape, bool), parameters)
    for start in range(0, irs2.IRS2_RAW_ROWS, 640):
        strip = slice(start, start + 640)
        look.watch(strip, case.raw[0, :, strip].copy())
    found = look.result()
    ours = np.where(np.arange(4)[:, None, None] >= found.start, np.uint8(DQ.SATURATED), 0)
    ours[1, found.second] = DQ.SATURATED
    np.testing.assert_array_equal(ours, stock & np.uint8(DQ.SATURATED))
    assert (ours != 0).mean() > 0.01
    assert found.second.any() == (n_frames == 5)


def test_results_do_not_depend_on_bands_and_threads():
    case = make_irs2_case("NRS2", n_groups=3, n_integrations=2)
    whole = calibrate_irs2(case, band_rows=DETECTOR_SIZE, threads=1)
    for (ramp, maps), (other_ramp, other_maps) in zip(
        whole, calibrate_irs2(case, band_rows=300, threads=4), strict=True
    ):
        np.testing.assert_array_equal(ramp, other_ramp)
        for name in ("groupdq", "pixeldq", "rate", "rate_err", "negative_jumps"):
            np.testing.assert_array_equal(getattr(maps, name), getattr(other_maps, name), name)


def test_a_band_that_is_overtaken_gets_its_rows():
    """Nothing is dropped that an earlier band has not asked for, whatever the order of threads."""
    case = make_irs2_case("NRS2", n_groups=2)
    bands = [slice(0, 129), slice(127, 257), slice(255, 385), slice(383, 513)]

    def look() -> Irs2Samples:
        return Irs2Samples.look(
            ArrayReader(case.raw), case.exposure, case.references, DEFAULTS, threads=1
        )[0]

    def ramp_of(samples: Irs2Samples, rows: slice) -> np.ndarray:
        shape = (case.exposure.n_groups, rows.stop - rows.start, DETECTOR_SIZE)
        ramp, groupdq = np.full(shape, -1, np.float32), np.zeros(shape, np.uint8)
        samples.fill(0, rows, ramp=ramp, groupdq=groupdq)
        return ramp

    samples = look()
    in_order = [ramp_of(samples, rows) for rows in bands]
    samples = look()
    ramp_of(samples, bands[0])
    ramp_of(samples, bands[2])
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(ramp_of, samples, bands[3])  # needs the next amplifier: has to wait
        with pytest.raises(TimeoutError):
            last.result(timeout=1.0)
        np.testing.assert_array_equal(ramp_of(samples, bands[1]), in_order[1])
        np.testing.assert_array_equal(last.result(), in_order[3])


@pytest.mark.parametrize("threads", [2, 4])
def test_no_band_waits_for_one_that_was_left_out(threads, two_groups, monkeypatch):
    cancel = Future.cancel

    def cancel_slowly(future: Future) -> bool:
        try:
            return cancel(future)
        finally:
            time.sleep(0.1)  # enough for threads to go on with what has not been cancelled yet

    monkeypatch.setattr(Future, "cancel", cancel_slowly)

    class FullDisk(ArrayBuffer):
        def write(self, *_: object) -> None:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        calibrate_in_time(two_groups, [FullDisk((2, DETECTOR_SIZE, DETECTOR_SIZE))], threads)


@pytest.mark.parametrize("threads", [2, 4])
def test_no_band_waits_for_one_that_has_failed(threads, two_groups, monkeypatch):
    fill = Irs2Samples.fill

    def fail(samples: Irs2Samples, integration: int, rows: slice, **arrays: np.ndarray) -> None:
        if rows.start == 2 * 128 - 1:
            raise MemoryError("of the third band")
        return fill(samples, integration, rows, **arrays)

    monkeypatch.setattr(Irs2Samples, "fill", fail)
    with pytest.raises(MemoryError, match="of the third band"):
        calibrate_in_time(two_groups, [ArrayBuffer((2, DETECTOR_SIZE, DETECTOR_SIZE))], threads)


@pytest.fixture(scope="module")
def two_groups() -> Case:
    return make_irs2_case("NRS1", n_groups=2)


def calibrate_in_time(case: Case, ramps: list[ArrayBuffer], threads: int) -> None:
    """Calibrate; fail if it takes for ever."""
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(
            calibrate_exposure,
            ArrayReader(case.raw),
            case.exposure,
            case.references,
            DEFAULTS,
            ramps,
            threads=threads,
        ).result(timeout=PATIENCE)
    finally:
        pool.shutdown(wait=False)


@settings(deadline=None)
@given(st.permutations(range(6)), st.integers(0, 3), st.integers(7, 20))
def test_rows_count_as_asked_for_without_gaps(order, halo, band_rows):
    """Whatever the order of bands, and whatever they have in common."""
    last = 6 * band_rows
    bands = [
        slice(max(0, start - halo), min(last, start + band_rows + halo))
        for start in range(0, last, band_rows)
    ]
    asked = Asked()
    for done, place in enumerate(order, start=1):
        asked.add(bands[place])
        without_gap = next((n for n in range(6) if n not in order[:done]), 6)
        assert asked.rows == (bands[without_gap - 1].stop if without_gap else 0)


def calibrate_irs2(
    case: Case,
    parameters: CalibrationParameters = DEFAULTS,
    *,
    band_rows: int,
    threads: int,
) -> list:
    shape = (case.exposure.n_groups, DETECTOR_SIZE, DETECTOR_SIZE)
    buffers = [ArrayBuffer(shape) for _ in case.raw]
    maps = calibrate_exposure(
        ArrayReader(case.raw),
        case.exposure,
        case.references,
        parameters,
        buffers,
        band_rows=band_rows,
        threads=threads,
    )
    return [(buffer.ramp, each) for buffer, each in zip(buffers, maps, strict=True)]


def test_without_weights_it_is_refused():
    case = make_small_case("NRS1", np.zeros((1, 2, irs2.IRS2_RAW_ROWS, 8), np.uint16))
    references = case.references.replace(mask=np.zeros((irs2.IRS2_RAW_ROWS, 8), np.uint32))
    with pytest.raises(NrsdarkError, match=r"memory: .*needs a REFPIX reference"):
        look_at_exposure(
            ArrayReader(case.raw),
            case.exposure,
            references,
            references.mask,
            CalibrationParameters().refpix,
            threads=1,
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detector", "n_frames", "parameters", "at_threshold"),
    [("NRS1", 5, WITH_LEVELS, 12), ("NRS1", 5, DEFAULTS, 7), ("NRS2", 1, DEFAULTS, 2)],
)
def test_chain_is_that_of_jwst(detector, n_frames, parameters, at_threshold):
    """Ramps and rates within rounding; flags, but for jumps right at their threshold.

    `at_threshold` is how many samples, of 21 million, only one of the two flags (docs/irs2.md).
    """
    case = make_irs2_case(detector, n_groups=5, n_frames=n_frames)
    ours = calibrate_irs2(
        Case(
            case.exposure,
            case.raw,
            case.references.replace(mask=clear_hot(case.references.mask)),
        ),
        parameters,
        band_rows=128,
        threads=2,
    )
    with TemporaryDirectory() as directory:
        paths = write_irs2_case(case, Path(directory))
        exposure = replace(case.exposure, url=str(paths.pop("uncal")))
        files = ReferencePaths(**{kind: str(path) for kind, path in paths.items()})
        stock = calibrate_with_jwst(exposure, files, parameters)
    for (ramp, maps), (stock_ramp, stock_maps) in zip(ours, stock, strict=True):
        largest = np.abs(stock_ramp).max(axis=0)
        assert (np.abs(ramp - stock_ramp) <= 1e-3 + 1e-5 * largest).all()
        np.testing.assert_array_equal(maps.pixeldq, stock_maps.pixeldq)
        differ = maps.groupdq != stock_maps.groupdq
        assert differ.sum() <= ELSEWHERE * at_threshold
        assert ((maps.groupdq ^ stock_maps.groupdq) & ~np.uint8(DQ.JUMP_DET) == 0).all()
        same = ~differ.any(axis=0)
        for name in ("rate", "rate_err"):  # a rate right at a step of its weights may take either
            alike = np.isclose(
                getattr(maps, name),
                getattr(stock_maps, name),
                rtol=1e-5,
                atol=1e-3,
                equal_nan=True,
            )
            assert (same & ~alike).sum() <= ELSEWHERE * at_threshold

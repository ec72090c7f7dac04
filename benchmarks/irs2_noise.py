"""Noise of IRS2 darks after the correction, with weights made from other darks.

Weights are made from the first exposures of a simulated set, and tried on the last ones, beside the
weights that are best for the simulated noise, and beside none. The figure is the standard deviation
of differences of consecutive groups over the pixels of an amplifier, outliers clipped.

    python -m benchmarks.irs2_noise DIRECTORY [--make 4] [--groups 8] [--threads 2]

DIRECTORY is one that ``nrsdark simulate --readpatt NRSIRS2RAPID`` has filled.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.irs2_bad_reference import flag_bad_rows, replacements
from nrsdark_xr.calibration.irs2_correction import Irs2Correction
from nrsdark_xr.calibration.irs2_cross_spectra import measure_cross_spectra
from nrsdark_xr.calibration.irs2_look import look_at_levels
from nrsdark_xr.calibration.irs2_output import fill_output
from nrsdark_xr.calibration.irs2_signals import (
    REFERENCE_OUTPUT,
    output_spectrum,
    reading_order,
    science_samples,
)
from nrsdark_xr.calibration.parameters import CrossSpectraParameters, RefpixParameters
from nrsdark_xr.detector import irs2
from nrsdark_xr.exposures import Exposure, RawReader, find_exposures, read_exposures
from nrsdark_xr.products import bad_pair_table, solve_weights
from nrsdark_xr.products.clip import frame_statistics
from nrsdark_xr.products.parameters import ClipParameters
from nrsdark_xr.references.irs2 import Irs2Weights, read_irs2_weights

CLIP = ClipParameters(sigma=4.0, maxiters=20)
AMPLIFIERS = range(1, irs2.OUTPUTS)


def make_weights(exposures: list[Exposure], *, threads: int) -> Irs2Weights:
    """Make weights as step `bias` does."""
    total, bad = 0.0, np.zeros(irs2.IRS2_RAW_ROWS)
    for exposure in exposures:
        with RawReader(exposure) as raw:
            found = measure_cross_spectra(
                raw, exposure, 0, CrossSpectraParameters(), threads=threads
            )
        total = total + found.sums.astype(np.float64)
        bad += found.bad_rows / len(exposures)
    solved = [solve_weights(sums) for sums in np.asarray(total)]
    alpha, beta = (np.stack(each) for each in zip(*solved, strict=True))
    table = bad_pair_table(bad > 0.5, exposures[0].detector)
    return Irs2Weights(
        alpha, beta, *(table[name].astype(np.int64) for name in ("output", "odd_even")),
        table["mask"],
    )  # fmt: skip


def noise(
    exposure: Exposure, weights: Mapping[str, Irs2Weights], *, n_groups: int, threads: int
) -> dict[str, NDArray[np.float64]]:
    """Noise of each amplifier with each set of weights, and without any [DN]."""
    no_bias = np.zeros((irs2.IRS2_RAW_ROWS, exposure.xsize), np.float32)
    no_levels = np.zeros((exposure.n_groups, irs2.IRS2_RAW_ROWS), np.float32)
    frames: dict[str, list[NDArray[np.float32]]] = {name: [] for name in ("raw", *weights)}
    with RawReader(exposure) as raw:
        levels = look_at_levels(raw, exposure, 0, no_bias, threads=threads)
        n_sigma = RefpixParameters().ovr_corr_mitigation_ftr
        bad = flag_bad_rows([levels.pairs], np.zeros(len(no_bias), bool), n_sigma=n_sigma)
        corrections = {
            name: Irs2Correction(
                raw, exposure, 0, no_bias, no_levels, levels.mean,
                *replacements(bad, each, exposure.detector), each,
            ).with_replaced_means()
            for name, each in weights.items()
        }  # fmt: skip
        chosen = science_samples()
        ticks = irs2.sample_ticks()[chosen]
        first = next(iter(corrections.values()))
        spectra = [
            output_spectrum(fill_output(first.output_samples(group, REFERENCE_OUTPUT)[0]))
            for group in range(n_groups)
        ]
        scatter = np.empty((len(frames), len(AMPLIFIERS)))
        for amplifier in AMPLIFIERS:
            for images in frames.values():
                images.clear()
            for group in range(n_groups):
                for name, correction in corrections.items():
                    samples, counts = correction.output_samples(group, amplifier)
                    left = correction.correction(
                        samples, spectra[group], *correction.amplifier_weights(amplifier), ticks
                    )
                    frames[name].append(samples[chosen] - left)
                order = reading_order(exposure.detector, amplifier)
                frames["raw"].append(counts[order][chosen].astype(np.float32))
            for place, images in enumerate(frames.values()):
                differences = [b - a for a, b in pairwise(images)]
                deviations = [frame_statistics(d, parameters=CLIP).std for d in differences]
                scatter[place, amplifier - 1] = np.sqrt(np.mean(np.square(deviations)))
        return dict(zip(frames, scatter, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--make", type=int, default=4, help="exposures that weights are made from")
    parser.add_argument("--groups", type=int, default=8, help="groups of the others to look at")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    from astropy.io import fits

    exposures, _ = read_exposures(find_exposures(str(options.directory / "*_uncal.fits")))
    exposures = sorted(exposures, key=lambda exposure: exposure.date_obs)
    path = options.directory / "references/refpix.fits"
    with fits.open(path) as hdus:
        best = read_irs2_weights(hdus, str(path))
    started = resource.getrusage(resource.RUSAGE_SELF)
    made = make_weights(exposures[: options.make], threads=options.threads)
    ended = resource.getrusage(resource.RUSAGE_SELF)
    seconds = ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime
    print(
        f"made from {options.make} exposures of {exposures[0].n_groups} groups: "
        f"{seconds / options.make:.1f} s of CPU each"
    )

    nothing = np.zeros_like(best.alpha)
    plain = (best.output, best.odd_even, best.mask)
    weights = {
        "line": Irs2Weights(nothing, nothing, *plain),
        "identity": Irs2Weights(nothing, nothing + 1, *plain),
        "swapped": Irs2Weights(made.beta, made.alpha, *plain),
        "best": best,
        "made": made,
    }
    tables = [
        noise(exposure, weights, n_groups=options.groups, threads=options.threads)
        for exposure in exposures[options.make :]
    ]
    print("| weights | " + " | ".join("ABCD") + " | made less best |\n" + "|---" * 6 + "|")
    mean = {
        name: np.sqrt(np.mean([table[name] ** 2 for table in tables], axis=0)) for name in tables[0]
    }
    for name, row in mean.items():
        change = f"{100 * np.max(row / mean['best'] - 1):+.2f} %" if name == "made" else ""
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + f" | {change} |")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

"""Raw exposure files: `Level1bModel` headers, pixels streamed group by group."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import scan_axes
from nrsdark_xr.detector.irs2 import REFERENCE_RUN, SCIENCE_RUN
from nrsdark_xr.detector.readout import PIXEL_TIME
from nrsdark_xr.simulate.configuration import Configuration, Visit, modified_julian_date

_FITS_BLOCK = 2880
_SIGN_BIT = 0x8000
_SCA_NUMBERS = {"NRS1": 491, "NRS2": 492}
_DATA_MODE = 1
_SOFTWARE = "nrsdark_xr simulator"


def write_uncal(
    path: Path,
    configuration: Configuration,
    visit: Visit,
    groups: Iterator[NDArray[np.uint16]],
) -> None:
    """Write one raw exposure without ever holding more than one group of it.

    The same arguments give the same bytes: DATE is the end of the exposure.

    Parameters
    ----------
    path : Path
        Written under a temporary name and renamed when complete.
    configuration : Configuration
    visit : Visit
    groups : iterator of ndarray of uint16, shape (raw rows, x)
        All groups of all integrations, in order, in the DMS frame.
    """
    before, header, after = _frame_file(path.name, configuration, visit)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(before)
        file.write(header)
        start = file.tell()
        for group in groups:
            # FITS keeps unsigned numbers as signed ones with an offset of 2**15.
            file.write((group ^ np.uint16(_SIGN_BIT)).astype(">u2").data)
        _pad(file, start)
        file.write(after)
    part.rename(path)


def _pad(file: BinaryIO, start: int) -> None:
    file.write(bytes(-(file.tell() - start) % _FITS_BLOCK))


def _frame_file(
    name: str, configuration: Configuration, visit: Visit
) -> tuple[bytes, bytes, bytes]:
    """Make what stands before the SCI header, that header, and what follows the pixels."""
    from astropy.io import fits
    from stdatamodels.jwst.datamodels import Level1bModel

    with Level1bModel(np.zeros((1, 1, 1, 1), np.uint16), strict_validation=True) as model:
        for key, value in keywords(name, configuration, visit).items():
            model[key] = value
        model.group = _group_table(model.get_dtype("group"), configuration, visit)
        model.int_times = _integration_table(model.get_dtype("int_times"), configuration, visit)
        small = io.BytesIO()
        model.to_fits(small)
        model.meta.date = _isot(visit.end)
        metadata = _asdf_extension({"meta": model.meta.instance})
    small.seek(0)
    with fits.open(small) as hdus:
        hdus["ASDF"] = metadata
        hdus[0].header["DATE"] = _isot(visit.end)
        science = hdus["SCI"].header
        rows, columns = configuration.raw_shape
        sizes = (columns, rows, configuration.n_groups)
        for axis, size in enumerate((*sizes, configuration.n_integrations), start=1):
            science[f"NAXIS{axis}"] = size
        return (
            hdus[0].header.tostring().encode("ascii"),
            _unsigned(science).tostring().encode("ascii"),
            b"".join(_bytes(hdu) for hdu in hdus[2:]),
        )


def _asdf_extension(tree: dict[str, Any]) -> Any:
    """Make the extension in which jwst looks for metadata; the arrays it finds in the others."""
    import asdf
    from astropy.io import fits

    buffer = io.BytesIO()
    asdf.AsdfFile(tree).write_to(buffer)
    data = np.frombuffer(buffer.getvalue(), np.uint8)[np.newaxis]
    column = fits.Column(name="ASDF_METADATA", format=f"{data.size}B", array=data)
    return fits.BinTableHDU.from_columns([column], name="ASDF")


def _unsigned(header: Any) -> Any:
    """Give the header the cards that make 16-bit pixels unsigned: reading takes them out."""
    header["BITPIX"] = 16
    header.set("BSCALE", 1, after="GCOUNT")
    header.set("BZERO", 32768, after="BSCALE")
    return header


def _bytes(hdu: Any) -> bytes:
    from astropy.io import fits

    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    return buffer.getvalue()[_FITS_BLOCK:]


def keywords(name: str, configuration: Configuration, visit: Visit) -> dict[str, Any]:
    """Metadata of an exposure, by their place in `Level1bModel`.

    Parameters
    ----------
    name : str
        File name.
    configuration : Configuration
    visit : Visit
    """
    c, area = configuration, configuration.area
    fast, slow = scan_axes(c.detector)
    program, observation, number = c.program, f"{visit.observation:03d}", f"{visit.visit:03d}"
    visit_id = f"{program}{observation}{number}"
    per_integration = c.n_groups * c.readout.n_frames * c.frame_time
    middle = visit.start + visit.duration / 2
    described = {
        "meta.filename": name,
        "meta.origin": "STSCI",
        "meta.telescope": "JWST",
        "meta.time_sys": "UTC",
        "meta.time_unit": "s",
        "meta.prd_software_version": _SOFTWARE,
        "meta.program.title": "Simulated NIRSpec darks",
        "meta.program.category": "CAL",
        "meta.program.pi_name": _SOFTWARE,
        "meta.observation.date": visit.start.date().isoformat(),
        "meta.observation.time": _isot(visit.start)[11:],
        "meta.observation.date_beg": _isot(visit.start),
        "meta.observation.date_end": _isot(visit.end),
        "meta.observation.obs_id": f"V{visit_id}P0000000002101",
        "meta.observation.visit_id": visit_id,
        "meta.observation.program_number": program,
        "meta.observation.observation_number": observation,
        "meta.observation.visit_number": number,
        "meta.observation.visit_group": "02",
        "meta.observation.sequence_id": "1",
        "meta.observation.activity_id": "01",
        "meta.observation.exposure_number": "1",
        "meta.observation.template": "NIRSpec Dark",
        "meta.visit.type": "PARALLEL_DARK_CALIBRATION",
        "meta.visit.status": "SUCCESSFUL",
        "meta.visit.start_time": _isot(visit.start).replace("T", " "),
        "meta.visit.total_exposures": 1,
        "meta.visit.internal_target": True,
        "meta.visit.tsovisit": False,
        "meta.target.type": "FIXED",
        "meta.instrument.name": "NIRSPEC",
        "meta.instrument.detector": c.detector,
        "meta.instrument.filter": "OPAQUE",
        "meta.instrument.grating": c.grating,
        "meta.instrument.lamp_state": "NONE",
        "meta.instrument.lamp_mode": "NONE",
        "meta.exposure.count": 1,
        "meta.exposure.prime_parallel": "PARALLEL_PURE",
        "meta.exposure.type": "NRS_DARK",
        "meta.exposure.start_time": modified_julian_date(visit.start),
        "meta.exposure.mid_time": modified_julian_date(middle),
        "meta.exposure.end_time": modified_julian_date(visit.end),
        "meta.exposure.readpatt": c.readout.name,
        "meta.exposure.noutputs": c.n_outputs,
        "meta.exposure.nints": c.n_integrations,
        "meta.exposure.integration_start": 1,
        "meta.exposure.integration_end": c.n_integrations,
        "meta.exposure.segment_number": 1,
        "meta.exposure.total_segments": 1,
        "meta.exposure.ngroups": c.n_groups,
        "meta.exposure.nframes": c.readout.n_frames,
        "meta.exposure.frame_divisor": c.readout.frame_divisor,
        "meta.exposure.groupgap": c.readout.group_gap,
        "meta.exposure.drop_frames1": 0,
        "meta.exposure.drop_frames3": 0,
        "meta.exposure.nsamples": 1,
        "meta.exposure.sample_time": PIXEL_TIME * 1e6,
        "meta.exposure.frame_time": round(c.frame_time, 6),
        "meta.exposure.group_time": round(c.group_time, 6),
        "meta.exposure.integration_time": per_integration,
        "meta.exposure.exposure_time": per_integration * c.n_integrations,
        "meta.exposure.duration": visit.duration.total_seconds(),
        "meta.exposure.nresets_at_start": 1,
        "meta.exposure.nresets_between_ints": 1,
        "meta.exposure.zero_frame": False,
        "meta.exposure.data_problem": False,
        "meta.exposure.sca_num": _SCA_NUMBERS[c.detector],
        "meta.exposure.datamode": _DATA_MODE,
        "meta.exposure.gain_factor": c.gain_factor,
        "meta.subarray.name": area.name,
        "meta.subarray.xstart": area.xstart,
        "meta.subarray.ystart": area.ystart,
        "meta.subarray.xsize": area.xsize,
        "meta.subarray.ysize": area.ysize,
        "meta.subarray.fastaxis": fast,
        "meta.subarray.slowaxis": slow,
        "meta.dither.primary_type": "NONE",
        "meta.dither.position_number": 1,
        "meta.dither.total_points": 1,
        "meta.bunit_data": "DN",
    }
    if c.is_irs2:
        described["meta.exposure.nrs_normal"] = SCIENCE_RUN
        described["meta.exposure.nrs_reference"] = REFERENCE_RUN
    return described


def _integration_starts(configuration: Configuration, visit: Visit) -> list[datetime]:
    length = visit.duration / configuration.n_integrations
    return [visit.start + number * length for number in range(configuration.n_integrations)]


def _group_table(dtype: Any, configuration: Configuration, visit: Visit) -> NDArray[Any]:
    """GROUP extension: when each group ended; barycentric times are those at the spacecraft."""
    c = configuration
    table = np.zeros(c.n_integrations * c.n_groups, dtype)
    row = 0
    for number, start in enumerate(_integration_starts(c, visit), start=1):
        for group in range(1, c.n_groups + 1):
            end = start + timedelta(seconds=c.frame_time + group * c.group_time)
            midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
            microseconds = (end - midnight) // timedelta(microseconds=1)
            table[row] = (
                number,
                group,
                (end - datetime(2000, 1, 1, tzinfo=end.tzinfo)).days,
                microseconds // 1000,
                microseconds % 1000,
                _isot(end),
                c.area.xsize,
                c.area.ysize,
                0,
                0,
                "COMPLETE",
                modified_julian_date(end),
                modified_julian_date(end),
            )
            row += 1
    return table


def _integration_table(dtype: Any, configuration: Configuration, visit: Visit) -> NDArray[Any]:
    """INT_TIMES extension; barycentric times are those at the spacecraft."""
    length = visit.duration / configuration.n_integrations
    table = np.zeros(configuration.n_integrations, dtype)
    for number, start in enumerate(_integration_starts(configuration, visit)):
        times = [modified_julian_date(start + share * length) for share in (0, 0.5, 1)]
        table[number] = (number + 1, *times, *times)
    return table


def _isot(moment: datetime) -> str:
    """ISO time with milliseconds and without zone, as in JWST headers."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")

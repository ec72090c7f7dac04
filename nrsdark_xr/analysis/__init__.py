"""Judge the products: gates, summary, report, comparison with another reference file.

Names are loaded when they are first used: configuration needs the gates, but not matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nrsdark_xr.analysis.compare import (
        COLUMNS,
        Comparison,
        ComparisonParameters,
        compare_references,
    )
    from nrsdark_xr.analysis.comparison_page import write_comparison
    from nrsdark_xr.analysis.examples import PIXEL_KINDS, ExamplePixel, example_pixels
    from nrsdark_xr.analysis.gates import Gate, GateParameters, evaluate_gates, is_deliverable
    from nrsdark_xr.analysis.periods import PeriodRate, PeriodStatistics, compare_period
    from nrsdark_xr.analysis.report import write_report
    from nrsdark_xr.analysis.report_content import (
        Baseline,
        ExampleRamp,
        FileRecord,
        InputRow,
        ReportContent,
        StepRecord,
    )
    from nrsdark_xr.analysis.statistics import ProductStatistics, measure_products
    from nrsdark_xr.analysis.summary import summarize, write_summary

_HOMES = {
    "COLUMNS": "compare",
    "PIXEL_KINDS": "examples",
    "Baseline": "report_content",
    "Comparison": "compare",
    "ComparisonParameters": "compare",
    "ExamplePixel": "examples",
    "ExampleRamp": "report_content",
    "FileRecord": "report_content",
    "Gate": "gates",
    "GateParameters": "gates",
    "InputRow": "report_content",
    "PeriodRate": "periods",
    "PeriodStatistics": "periods",
    "ProductStatistics": "statistics",
    "ReportContent": "report_content",
    "StepRecord": "report_content",
    "compare_period": "periods",
    "compare_references": "compare",
    "evaluate_gates": "gates",
    "example_pixels": "examples",
    "is_deliverable": "gates",
    "measure_products": "statistics",
    "summarize": "summary",
    "write_comparison": "comparison_page",
    "write_report": "report",
    "write_summary": "summary",
}
"""Module of each public name."""

__all__ = [
    "COLUMNS",
    "PIXEL_KINDS",
    "Baseline",
    "Comparison",
    "ComparisonParameters",
    "ExamplePixel",
    "ExampleRamp",
    "FileRecord",
    "Gate",
    "GateParameters",
    "InputRow",
    "PeriodRate",
    "PeriodStatistics",
    "ProductStatistics",
    "ReportContent",
    "StepRecord",
    "compare_period",
    "compare_references",
    "evaluate_gates",
    "example_pixels",
    "is_deliverable",
    "measure_products",
    "summarize",
    "write_comparison",
    "write_report",
    "write_summary",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

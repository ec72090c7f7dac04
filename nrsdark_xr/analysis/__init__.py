"""Judge the products: gates, summary, report, comparison with another reference file."""

from nrsdark_xr.analysis.compare import (
    COLUMNS,
    Comparison,
    ComparisonParameters,
    compare_references,
)
from nrsdark_xr.analysis.comparison_page import write_comparison
from nrsdark_xr.analysis.examples import PIXEL_KINDS, ExamplePixel, example_pixels
from nrsdark_xr.analysis.gates import Gate, GateParameters, evaluate_gates, is_deliverable
from nrsdark_xr.analysis.report import (
    Baseline,
    ExampleRamp,
    FileRecord,
    InputRow,
    ReportContent,
    StepRecord,
    write_report,
)
from nrsdark_xr.analysis.statistics import ProductStatistics, measure_products
from nrsdark_xr.analysis.summary import summarize, write_summary

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
    "ProductStatistics",
    "ReportContent",
    "StepRecord",
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

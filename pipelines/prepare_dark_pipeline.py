"""Step 2 of 5: calibrated ramps and rates of every raw dark (JWST-STScI-009226 §4.1.2).

    python pipelines/prepare_dark_pipeline.py RUN.yaml [--cluster tcp://host:port] [--set key=value]

Runs the step before it, too, where that is not done yet.
"""

import sys

from nrsdark_xr.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:], "--until", "prepare"])

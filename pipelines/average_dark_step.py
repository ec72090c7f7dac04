"""Step 3 of 5: average ramp, RC, RTN and bad reference pixels (JWST-STScI-009226 §4.1.3).

    python pipelines/average_dark_step.py RUN.yaml [--cluster tcp://host:port] [--set key=value]

Runs the steps before it, too, where these are not done yet.
"""

import sys

from nrsdark_xr.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:], "--until", "average"])

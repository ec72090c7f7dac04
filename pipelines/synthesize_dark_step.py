"""Step 4 of 5: dark and mask reference files (JWST-STScI-009226 §4.1.4).

    python pipelines/synthesize_dark_step.py RUN.yaml [--cluster tcp://host:port] [--set key=value]

Runs the steps before it, too, where these are not done yet.
"""

import sys

from nrsdark_xr.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:], "--until", "synthesize"])

"""Step 5 of 5: gates, summary and report (JWST-STScI-009226 §4.2).

    python pipelines/analyze_bias_dark.py RUN.yaml [--cluster tcp://host:port] [--set key=value]

Runs the steps before it, too, where these are not done yet.
"""

import sys

from nrsdark_xr.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:], "--until", "analyze"])

"""All five steps: raw darks to superbias, dark, mask and report (JWST-STScI-009226 §4).

    python pipelines/nrs_bias_dark.py RUN.yaml [--cluster tcp://host:port] [--set key=value]

The same as ``nrsdark run RUN.yaml``; goes on where an earlier run stopped.
"""

import sys

from nrsdark_xr.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:], "--until", "analyze"])

"""Step 1 of 5: the superbias of a set of raw darks (JWST-STScI-009226 §4.1.1).

    python pipelines/make_bias_step.py RUN.yaml [--cluster tcp://host:port] [--set key=value]

Takes the same RUN.yaml as the other steps; inputs that are done already are not worked on again.
"""

import sys

from nrsdark_xr.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:], "--until", "bias"])

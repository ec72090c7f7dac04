"""Which products of a run are complete, and what they were made from.

The state lies beside the products, in ``NAME_state.json``, and is written after them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nrsdark_xr.analysis.summary import write_whole
from nrsdark_xr.steps.fingerprints import Fingerprint
from nrsdark_xr.store.location import writing


@dataclass(frozen=True)
class ProductsState:
    """The record of one run's products.

    Attributes
    ----------
    path : Path
        Where it is kept.
    """

    path: Path

    def fingerprint(self, product: str) -> Fingerprint | None:
        """Return what a product was made from, or None if it was never completed."""
        entry = self._read().get(product)
        return None if entry is None else entry["fingerprint"]

    def reasons(self, product: str, fingerprint: Fingerprint, files: Sequence[Path]) -> list[str]:
        """Tell why a product has to be made; empty if it is up to date.

        Parameters
        ----------
        product : str
        fingerprint : dict
            What it would be made from now.
        files : sequence of Path
            The files that it consists of.
        """
        entry = self._read().get(product)
        if entry is None:
            return ["it is not there yet"]
        old = entry["fingerprint"]
        changed = sorted(
            key for key in old.keys() | fingerprint.keys() if old.get(key) != fingerprint.get(key)
        )
        sizes = entry["sizes"]
        altered = [path.name for path in files if sizes.get(path.name) != _size(path)]
        return [f"{key} changed" for key in changed] + [
            f"{name} is gone or was altered" for name in altered
        ]

    def holds(self, file: Path) -> bool:
        """Whether a file of some product is complete."""
        sizes = [entry["sizes"].get(file.name) for entry in self._read().values()]
        return _size(file) is not None and _size(file) in sizes

    def record(self, product: str, fingerprint: Fingerprint, files: Sequence[Path]) -> None:
        """Note that a product is complete."""
        sizes = {path.name: _size(path) for path in files}
        self._write(self._read() | {product: {"fingerprint": fingerprint, "sizes": sizes}})

    def forget(self, product: str) -> None:
        """Note that a product is about to be made anew, so its files may be of either making."""
        content = self._read()
        if content.pop(product, None) is not None:
            self._write(content)

    def _write(self, content: dict[str, Any]) -> None:
        with writing(str(self.path)):
            write_whole(self.path, json.dumps(content, indent=2, sort_keys=True).encode())

    def _read(self) -> dict[str, Any]:
        """Read the record; one that is damaged counts as absent, so products are made again."""
        try:
            return json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return {}


def _size(path: Path) -> int | None:
    """Bytes of a file; -1 for a folder; None for what is not there."""
    if path.is_dir():
        return -1
    return path.stat().st_size if path.exists() else None

"""Which products of a run are complete, and what they were made from.

The state lies beside the products, in ``NAME_state.json``, and is written after them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nrsdark_xr.steps.fingerprints import Fingerprint
from nrsdark_xr.store.output import OutputFile


@dataclass(frozen=True)
class ProductsState:
    """The record of one run's products.

    Attributes
    ----------
    file : OutputFile
        Where it is kept.
    """

    file: OutputFile

    def fingerprint(self, product: str) -> Fingerprint | None:
        """Return what a product was made from, or None if it was never completed."""
        entry = self._read().get(product)
        return None if entry is None else entry["fingerprint"]

    def reasons(
        self, product: str, fingerprint: Fingerprint, files: Sequence[OutputFile]
    ) -> list[str]:
        """Tell why a product has to be made; empty if it is up to date.

        Parameters
        ----------
        product : str
        fingerprint : dict
            What it would be made from now.
        files : sequence of OutputFile
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
        altered = [file.name for file in files if sizes.get(file.name) != file.size()]
        return [f"{key} changed" for key in changed] + [
            f"{name} is gone or was altered" for name in altered
        ]

    def holds(self, file: OutputFile) -> bool:
        """Whether a file of some product is complete."""
        size = file.size()
        sizes = [entry["sizes"].get(file.name) for entry in self._read().values()]
        return size is not None and size in sizes

    def record(self, product: str, fingerprint: Fingerprint, files: Sequence[OutputFile]) -> None:
        """Note that a product is complete."""
        sizes = {file.name: file.size() for file in files}
        self._write(self._read() | {product: {"fingerprint": fingerprint, "sizes": sizes}})

    def forget(self, product: str) -> None:
        """Note that a product is about to be made anew, so its files may be of either making."""
        content = self._read()
        if content.pop(product, None) is not None:
            self._write(content)

    def _write(self, content: dict[str, Any]) -> None:
        self.file.write(json.dumps(content, indent=2, sort_keys=True).encode())

    def _read(self) -> dict[str, Any]:
        """Read the record; one that is damaged counts as absent, so products are made again."""
        try:
            return json.loads(self.file.read() or b"{}")
        except ValueError:
            return {}

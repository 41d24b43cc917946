"""How a dataset's fields at the source differ from its contract.

Pure: no Airflow import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from odre.contracts import SOURCE_TYPES, Contract
from odre.quarantine import ContractBroken

SEE_DRIFT: Final = (
    "Compare the contract with the portal's description of the dataset (make check-source), and adapt it: "
    "see docs/runbooks/schema-drift.md"
)


@dataclass(frozen=True)
class Drift:
    """How a dataset's fields differ from its contract, in ways that a run bears.

    ``unknown`` fields are ignored, ``absent`` optional columns are not asked for and land as null.
    """

    unknown: tuple[str, ...]
    absent: tuple[str, ...]

    def columns(self, contract: Contract) -> tuple[str, ...]:
        """The columns to ask the source for, in the contract's order."""
        return tuple(column.name for column in contract.columns if column.name not in self.absent)


def detect_drift(contract: Contract, fields: Mapping[str, str]) -> Drift:
    """The drift of the source's fields (name → type) from the contract.

    Raises:
        ContractBroken: a required column is absent, or one has a type that the contract cannot cast.
    """
    absent = [column for column in contract.columns if column.name not in fields]
    missing = [column.name for column in absent if column.required]
    retyped = [
        f"{column.name} ({fields[column.name]} instead of {column.type})"
        for column in contract.columns
        if column.name in fields and fields[column.name] not in SOURCE_TYPES[column.type]
    ]
    if missing or retyped:
        causes = []
        if missing:
            causes.append(f"required columns are absent: {', '.join(missing)}")
        if retyped:
            causes.append(f"columns have other types: {', '.join(retyped)}")
        raise ContractBroken(f"{contract.dataset}, its fields: {'; '.join(causes)}. {SEE_DRIFT}")
    return Drift(
        unknown=tuple(name for name in fields if name not in contract.by_name),
        absent=tuple(column.name for column in absent),
    )

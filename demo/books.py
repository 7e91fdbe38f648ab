"""The shop's books beside the runs: nobody pays twice, and what was not shipped is given back, last thing first."""

from __future__ import annotations

from collections import Counter
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

GIVEN_BACK = {"labelled": "recalled", "charged": "refunded", "held": "released"}  # in this order


class Line(NamedTuple):
    """One thing that was done for a purchase, or given back."""

    at: float  # seconds since the epoch
    purchase: str
    order: str
    what: str
    n: int


def read(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[Line]]:
    """Sort the entries of the books by purchase, oldest first."""
    purchases: defaultdict[str, list[Line]] = defaultdict(list)
    for entry in entries:
        purchases[entry["purchase"]].append(Line(**entry))
    return dict(purchases)


def faults(lines: Sequence[Line], shipped: bool, parcels: int, pickup_secs: float) -> list[str]:
    """Say what is wrong with the lines of one purchase."""
    words = [line.what for line in lines]
    found = [f"{what} twice" for what, number in Counter(words).items() if number > 1 and what != "labelled"]
    labels = [line.n for line in lines if line.what == "labelled"]
    if len(set(labels)) < len(labels):
        found.append(f"labels {labels}")
    given_back = [word for word in words if word in GIVEN_BACK.values()]
    if shipped:
        if words != ["held", "charged", *["labelled"] * parcels] or sorted(labels) != [*range(1, parcels + 1)]:
            found.append(f"shipped in {parcels} parcels, and the books say {words}")
    else:
        owed = [undone for done, undone in GIVEN_BACK.items() if done in words]
        if given_back != owed:
            found.append(f"not shipped, given back {given_back}, owed {owed}")
        found += [
            f"{done} after it was {undone}"
            for done, undone in GIVEN_BACK.items()
            if undone in words and done in words[words.index(undone) :]
        ]
    paid_at = next((line.at for line in lines if line.what == "charged"), None)
    found += [
        f"label {line.n} was printed {line.at - paid_at:.3f} s after the payment, too early by its timer"
        for line in lines
        if line.what == "labelled" and paid_at is not None and line.at < paid_at + pickup_secs
    ]
    return found

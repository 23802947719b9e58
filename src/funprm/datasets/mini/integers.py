"""The family of problems about lists of integers."""

from funprm.datasets.mini.integer_filters import FILTERS, ORDERS, SLICES
from funprm.datasets.mini.integer_maps import MAPS, NEIGHBOURS
from funprm.datasets.mini.integer_reducers import INTEGER_REDUCERS
from funprm.datasets.mini.operations import Family

INTEGERS = Family(
    argument="xs",
    openings=(
        "Given is a list xs of integers",
        "Write solve for a list xs of integers",
        "Start from the integers xs",
    ),
    operations=(*FILTERS, *SLICES, *ORDERS, *MAPS, *NEIGHBOURS),
    reducers=INTEGER_REDUCERS,
)
"""Problems about lists of integers."""

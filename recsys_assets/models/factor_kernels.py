"""Kernels of the matrix-factor families: least squares for each row, and item-item counts.

Families and their settings are `als.py`'s and `ease.py`'s. All sums are float64 in one order: no BLAS,
so no result depends on its threads or on which rows share a block. No bounds are checked, no threads
are started here.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import Float32, Float64, Int32, Int64

PANEL = 4
"""Rows that are worked on together: each element of the matrix is read and written once for all."""


@kernel
def _solve(matrix: Float64, right: Float64) -> None:
    """Overwrite `right` with the solution of a symmetric positive definite system.

    Cholesky, of the upper triangle of `matrix`, which is overwritten; the lower is not read.
    """
    size = len(right)
    for begin in range(0, size, PANEL):
        end = min(begin + PANEL, size)
        for pivot in range(begin, end):
            root = np.sqrt(matrix[pivot, pivot])
            for column in range(pivot, size):
                matrix[pivot, column] /= root
            for row in range(pivot + 1, end):
                factor = matrix[pivot, row]
                for column in range(row, size):
                    matrix[row, column] -= factor * matrix[pivot, column]
        if end - begin < PANEL:
            break
        # A panel's four pivots at once, one after the other in each element: the same bits.
        one, two, three, four = (
            matrix[begin],
            matrix[begin + 1],
            matrix[begin + 2],
            matrix[begin + 3],
        )
        for row in range(end, size):
            target = matrix[row]
            a, b, c, d = one[row], two[row], three[row], four[row]
            for column in range(row, size):
                value = target[column] - a * one[column] - b * two[column]
                target[column] = value - c * three[column] - d * four[column]
    for row in range(size):
        right[row] /= matrix[row, row]
        for column in range(row + 1, size):
            right[column] -= right[row] * matrix[row, column]
    for row in range(size - 1, -1, -1):
        for column in range(row + 1, size):
            right[row] -= matrix[row, column] * right[column]
        right[row] /= matrix[row, row]


@kernel
def solve_rows(
    low: int,
    high: int,
    offsets: Int64,
    columns: Int32,
    weights: Float64,
    targets: Float64,
    vectors: Float32,
    base: Float64,
    ridge: Float64,
    out: Float32,
) -> None:
    """Solve ``(base + ridge[r] I + sum w y y') x = sum t y`` for rows `low` to `high`.

    The sums run over the row's entries, whose `y` is ``vectors[columns[entry]]``, float32[m, d];
    `base` is float64[d, d]. A row without entries gets zeros. Writes ``out[r]``.
    """
    size = vectors.shape[1]
    matrix, right = np.empty((size, size)), np.empty(size)
    wide, factors = np.empty((PANEL, size)), np.empty(PANEL)
    for row in range(low, high):
        if offsets[row] == offsets[row + 1]:
            out[row] = 0.0
            continue
        matrix[:] = base
        right[:] = 0.0
        for at in range(size):
            matrix[at, at] += ridge[row]
        first, last = offsets[row], offsets[row + 1]
        for begin in range(first, last, PANEL):
            count = min(PANEL, last - begin)
            for which in range(PANEL):
                # Where there is no entry 0 is added, which changes no sum (of -0 it makes 0).
                factors[which] = weights[begin + which] if which < count else 0.0
                for at in range(size):
                    wide[which, at] = vectors[columns[begin + which], at] if which < count else 0.0
            for left in range(size):
                a, b = factors[0] * wide[0, left], factors[1] * wide[1, left]
                c, d = factors[2] * wide[2, left], factors[3] * wide[3, left]
                target = matrix[left]
                for at in range(left, size):
                    value = target[at] + a * wide[0, at] + b * wide[1, at]
                    target[at] = value + c * wide[2, at] + d * wide[3, at]
                for which in range(count):
                    right[left] += targets[begin + which] * wide[which, left]
        _solve(matrix, right)
        for at in range(size):
            out[row, at] = right[at]


@kernel
def count_pairs(offsets: Int64, rows: Int32, gram: Float64) -> None:
    """Add to `gram`, float64[m, m], how many sets hold both of two rows, and each (its diagonal)."""
    for owner in range(len(offsets) - 1):
        for left in range(offsets[owner], offsets[owner + 1]):
            for right in range(offsets[owner], offsets[owner + 1]):
                gram[rows[left], rows[right]] += 1.0

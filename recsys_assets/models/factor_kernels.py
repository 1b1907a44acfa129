"""Kernels of the matrix-factor families: least squares for each row, and item-item counts.

A file of its own with every helper that its kernels call, because numba's cache does not notice a
change in another file. All sums are float64 in one order: no BLAS, so no result depends on its
threads or on which rows share a block. No bounds are checked, no threads are started here.
"""

import numpy as np

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import Float32, Float64, Int32, Int64


@kernel
def _solve(matrix: Float64, right: Float64) -> None:
    """Overwrite `right` with the solution of a symmetric positive definite system.

    Cholesky, of the upper triangle of `matrix`, which is overwritten; the lower is not read.
    """
    size = len(right)
    for pivot in range(size):
        root = np.sqrt(matrix[pivot, pivot])
        for column in range(pivot, size):
            matrix[pivot, column] /= root
        for row in range(pivot + 1, size):
            factor = matrix[pivot, row]
            for column in range(row, size):
                matrix[row, column] -= factor * matrix[pivot, column]
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
    wide = np.empty(size)
    for row in range(low, high):
        if offsets[row] == offsets[row + 1]:
            out[row] = 0.0
            continue
        matrix[:] = base
        right[:] = 0.0
        for at in range(size):
            matrix[at, at] += ridge[row]
        for entry in range(offsets[row], offsets[row + 1]):
            for at in range(size):
                wide[at] = vectors[columns[entry], at]
            for left in range(size):
                factor = weights[entry] * wide[left]
                for at in range(left, size):
                    matrix[left, at] += factor * wide[at]
                right[left] += targets[entry] * wide[left]
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

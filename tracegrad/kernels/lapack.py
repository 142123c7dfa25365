"""Systems of equations, factors and vectors of one matrix, by LAPACK, which works in place, in Fortran's order.

In compiled code the functions of `LAPACK` are calls of LAPACK itself (`compiler/lapack.py`); here is what they mean. To
LAPACK the rows of a contiguous matrix are columns, so it is handed the transposed one, and gives transposed matrices.
Begin with `solution`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


class Singular(np.linalg.LinAlgError):
    """NumPy's error, with its message; compiled code hands over a number alone."""

    def __str__(self):
        return "Singular matrix"


class NotPositive(np.linalg.LinAlgError):
    """NumPy's error, with its message; compiled code hands over a number alone."""

    def __str__(self):
        return "Matrix is not positive definite"


class ValuesNotFound(np.linalg.LinAlgError):
    """NumPy's error, with its message; compiled code hands over a number alone."""

    def __str__(self):
        return "Eigenvalues did not converge"


class SizesNotFound(np.linalg.LinAlgError):
    """NumPy's error, with its message; compiled code hands over a number alone."""

    def __str__(self):
        return "SVD did not converge"


def solved_in_place(turned, pivots, rows):
    """Each row becomes the solution for it, and the matrix its factors; 0 where there is a solution."""
    try:
        rows[...] = np.linalg.solve(turned.T, rows.T).T
    except np.linalg.LinAlgError:
        return 1
    return 0


def columns_substituted(x, columns, is_lower, across):
    """Each column becomes the solution for it, of a triangle of a matrix or, `across`, of that transposed; 0 where BLAS
    is known."""
    triangle = np.tril(x) if is_lower else np.triu(x)
    columns[...] = np.linalg.solve(triangle.T if across else triangle, columns)
    return 0


def rows_substituted(x, rows):
    """Each row becomes what it is the product of and a matrix with zeros above its diagonal; 0 where BLAS is known."""
    rows[...] = np.linalg.solve(np.tril(x).T, rows.T).T
    return 0


def factored_in_place(turned, pivots):
    """The matrix becomes its triangular factors, rows exchanged as `pivots` says; not 0 where it is singular."""
    found = 0
    for k in range(len(turned)):
        column = turned[k]
        p = k + int(np.argmax(np.abs(column[k:])))
        pivots[k] = p + 1
        turned[:, [k, p]] = turned[:, [p, k]]
        if turned[k, k] == 0:
            found = found or k + 1
            continue
        turned[k, k + 1 :] /= turned[k, k]
        turned[k + 1 :, k + 1 :] -= np.outer(turned[k + 1 :, k], turned[k, k + 1 :])
    return found


def inverted_in_place(turned, pivots):
    """What `factored_in_place` leaves of a matrix that is not singular becomes its inverse, transposed, too; 0 then."""
    factors = turned.T
    try:
        upper = np.linalg.inv(np.triu(factors))
        found = upper @ np.linalg.inv(np.tril(factors, -1) + np.eye(len(turned), dtype=turned.dtype))
    except np.linalg.LinAlgError:
        return 1
    for k in range(len(turned) - 1, -1, -1):
        p = pivots[k] - 1
        found[:, [k, p]] = found[:, [p, k]]
    turned[...] = found.T
    return 0


def substituted_in_place(turned, pivots, rows):
    """Each row becomes the solution for it, of what `factored_in_place` took apart; 0 where LAPACK is known."""
    substitute(turned, pivots, rows, 0)
    return 0


def substituted_across(turned, pivots, rows):
    """The same of the transposed matrix."""
    substitute(turned, pivots, rows, 1)
    return 0


def rooted_in_place(x):
    """The lower triangle becomes the Cholesky factor of the matrix it is part of; 0 where there is one."""
    try:
        x[...] = np.tril(np.linalg.cholesky(x)) + np.triu(x, 1)
    except np.linalg.LinAlgError:
        return 1
    return 0


def diagonalised_in_place(turned, values):
    """Rows become the eigenvectors of a symmetric matrix, of which the lower triangle is read; 0 if there are any."""
    return _diagonalised(turned, values, "L")


def diagonalised_from_above(turned, values):
    """The same of the upper triangle: LAPACK comes to vectors that differ in their signs."""
    return _diagonalised(turned, values, "U")


def _diagonalised(turned, values, triangle):
    try:
        values[...], vectors = np.linalg.eigh(turned.T, triangle)
    except np.linalg.LinAlgError:
        return 1
    turned[...] = vectors.T
    return 0


def taken_apart_in_place(turned, left, values, right):
    """The singular vectors and values of a matrix, which is lost; 0 where there are any."""
    try:
        u, values[...], vh = np.linalg.svd(turned.T, False)
    except np.linalg.LinAlgError:
        return 1
    left[...], right[...] = u.T, vh.T
    return 0


def reflected_in_place(turned, sizes):
    """The upper triangular factor, and below it the vectors of the reflections that make it, of these sizes."""
    turned[...], sizes[...] = np.linalg.qr(turned.T, "raw")
    return 0


def multiplied_in_place(turned, sizes):
    """The columns of the product of the reflections that `reflected_in_place` leaves."""
    q = np.eye(turned.shape[1], len(sizes), dtype=turned.dtype)
    for k in range(len(sizes) - 1, -1, -1):
        vector = np.concatenate((np.zeros(k), np.ones(1), turned[k, k + 1 :])).astype(turned.dtype)
        q -= sizes[k] * np.outer(vector, vector @ q)
    turned[...] = q.T
    return 0


def product_in_place(x, y, out):
    """The product of two matrices, by BLAS."""
    np.dot(x, y, out)
    return 0


def product_added(left, x, out, row, place, columns):
    """The product with rows of `x`, from `row` on and so many `columns`, added to rows of `out`, from `place` on."""
    rows, length = left.shape
    out[place : place + rows, :columns] += left @ x[row : row + length, :columns]
    return 0


def turned_product_added(left, x, out, row, place, columns):
    """The same of the transposed matrix."""
    return product_added(left.T, x, out, row, place, columns)


LAPACK = (
    solved_in_place,
    columns_substituted,
    rows_substituted,
    factored_in_place,
    inverted_in_place,
    substituted_in_place,
    substituted_across,
    rooted_in_place,
    diagonalised_in_place,
    diagonalised_from_above,
    taken_apart_in_place,
    reflected_in_place,
    multiplied_in_place,
    product_in_place,
    product_added,
    turned_product_added,
)


def flipped(x):
    """The transposed matrix, in memory of its own."""
    return x.T.copy()


def product(x, y):
    """`x @ y` of matrices."""
    out = np.empty((x.shape[0], y.shape[1]), x.dtype)
    product_in_place(x, y, out)
    return out


def solution(a, b):
    """`np.linalg.solve`."""
    if a.shape[0] <= 4:
        turned, pivots = factors(a)
        return solution_by_factors(turned, pivots, b, 0)
    turned, rows = flipped(a), b.T.copy()
    info = solved_in_place(turned, np.empty(a.shape[0], np.int32), rows)
    if info != 0:
        raise Singular(info)
    return np.ascontiguousarray(rows.T)


def refuse_singular(x):
    """A triangular matrix with a zero on its diagonal has no inverse."""
    for k in range(x.shape[0]):
        if x[k, k] == 0:
            raise Singular(k)


def solution_by_triangle(a, b, is_lower, across):
    """`np.linalg.solve` of one triangle of a matrix, the only one that is read, or `across`: of that transposed."""
    refuse_singular(a)
    columns = b.copy()
    solve_columns(np.ascontiguousarray(a), columns, is_lower, across)
    return columns


def solve_columns(a, columns, is_lower, across):
    """The same where each column is a right side, and becomes its solution."""
    info = 1
    if a.shape[0] > 4:
        info = columns_substituted(a, columns, is_lower, across)
    if info != 0:
        substitute_columns(a, columns, is_lower, across)


def substitute_columns(a, columns, is_lower, across):
    """What `columns_substituted` does: of few rows in less time than a call of BLAS takes."""
    n = a.shape[0]
    lines = columns.reshape((n, columns.size // max(n, 1)))
    goes_down = is_lower != across
    for step in range(n):
        k, start, stop = n - 1 - step, 0, n - 1 - step
        if goes_down:
            k, start, stop = step, step + 1, n
        for j in range(lines.shape[1]):
            lines[k, j] /= a[k, k]
        for i in range(start, stop):
            size = a[k, i] if across else a[i, k]
            for j in range(lines.shape[1]):
                lines[i, j] -= size * lines[k, j]


def inverse(x):
    """`np.linalg.inv`."""
    rows = np.zeros(x.shape, x.dtype)
    for k in range(x.shape[0]):
        rows[k, k] = 1
    return solution(x, rows)


def factors(x):
    """The triangular factors of a matrix, transposed, and its pivots, then 0 where it is regular."""
    n = x.shape[0]
    turned, pivots = flipped(x), np.empty(n + 1, np.int32)
    if n <= 4:
        if is_eliminated(turned, pivots):
            return turned, pivots
        turned = flipped(x)
    pivots[n] = factored_in_place(turned, pivots)
    return turned, pivots


def is_eliminated(turned, pivots):
    """What LAPACK does to find factors: of a matrix of few rows in less time than a call of it takes.

    False where a pivot is 0 or NaN: only LAPACK itself finds what NumPy has for these.
    """
    n = turned.shape[0]
    pivots[n] = 0
    for k in range(n):
        p = k
        for i in range(k + 1, n):
            if np.abs(turned[k, i]) > np.abs(turned[k, p]):
                p = i
        if not np.abs(turned[k, p]) > 0:
            return False
        pivots[k] = p + 1
        for j in range(n):
            turned[j, k], turned[j, p] = turned[j, p], turned[j, k]
        for i in range(k + 1, n):
            turned[k, i] /= turned[k, k]
            for j in range(k + 1, n):
                turned[j, i] -= turned[k, i] * turned[j, k]
    return True


def lu_factors(x):
    """`scipy.linalg.lu_factor`."""
    turned, pivots = factors(x)
    order = np.empty(x.shape[0], np.int32)
    for k in range(order.size):
        order[k] = pivots[k] - 1
    return flipped(turned), order


def rows_in_order(pivots):
    """The rows in the order in which exchanging row k with row `pivots[k]` puts them."""
    rows = np.arange(pivots.size)
    for k in range(pivots.size):
        p = pivots[k]
        rows[k], rows[p] = rows[p], rows[k]
    return rows


def refuse_pivots(pivots):
    """The factors of a singular matrix solve nothing."""
    if pivots[-1] != 0:
        raise Singular(pivots[-1])


def substitute(turned, pivots, rows, across):
    """What LAPACK does with factors, for each row: of the matrix, or the transposed one."""
    n = turned.shape[0]
    lines = rows.reshape((rows.size // max(n, 1), n))
    for i in range(lines.shape[0]):
        line = lines[i]
        if across:
            for k in range(n):
                for j in range(k):
                    line[k] -= turned[k, j] * line[j]
                line[k] /= turned[k, k]
            for k in range(n - 1, -1, -1):
                for j in range(k + 1, n):
                    line[k] -= turned[k, j] * line[j]
        for step in range(n):
            k = n - 1 - step if across else step
            p = pivots[k] - 1
            line[k], line[p] = line[p], line[k]
        if not across:
            for k in range(n):
                for j in range(k + 1, n):
                    line[j] -= turned[k, j] * line[k]
            for k in range(n - 1, -1, -1):
                line[k] /= turned[k, k]
                for j in range(k):
                    line[j] -= turned[k, j] * line[k]


def solution_by_factors(turned, pivots, b, across):
    """`np.linalg.solve` of the matrix that `factors` took apart, or of the transposed one."""
    rows = b.T.copy()
    solve_rows(turned, pivots, rows, across)
    return np.ascontiguousarray(rows.T)


def solve_rows(turned, pivots, rows, across):
    """The same where each row is a right side, and becomes its solution."""
    refuse_pivots(pivots)
    info = 1
    if turned.shape[0] > 4:
        info = (
            substituted_across(turned, pivots, rows) if across else substituted_in_place(turned, pivots, rows)
        )
    if info != 0:
        substitute(turned, pivots, rows, across)


def inverse_by_factors(turned, pivots):
    """`np.linalg.inv` of it; from 8 rows on LAPACK inverts factors in less time than it solves."""
    refuse_pivots(pivots)
    if turned.shape[0] >= 8:
        out = turned.copy()
        if inverted_in_place(out, pivots) == 0:
            return flipped(out)
    rows = np.zeros(turned.shape, turned.dtype)
    for k in range(turned.shape[0]):
        rows[k, k] = 1
    return solution_by_factors(turned, pivots, rows, 0)


def determinant(x):
    """`np.linalg.det`."""
    turned, pivots = factors(x)
    return determinant_by_factors(turned, pivots)


def determinant_by_factors(turned, pivots):
    """The determinant of the matrix that `factors` took apart."""
    found = np.zeros(1, turned.dtype)
    if pivots[-1] != 0:
        return found[0]
    found[0] = 1
    for k in range(turned.shape[0]):
        found[0] *= turned[k, k]
        if pivots[k] != k + 1:
            found[0] = -found[0]
    return found[0]


def log_determinant(x):
    """`np.linalg.slogdet`."""
    turned, pivots = factors(x)
    return log_determinant_by_factors(turned, pivots)


def log_determinant_by_factors(turned, pivots):
    """`np.linalg.slogdet` of the matrix that `factors` took apart."""
    found = np.zeros(2, turned.dtype)
    if pivots[-1] != 0:
        return found[0], np.log(found[0])
    found[0] = 1
    for k in range(turned.shape[0]):
        if (turned[k, k] < 0) != (pivots[k] != k + 1):
            found[0] = -found[0]
        found[1] += np.log(np.abs(turned[k, k]))
    return found[0], found[1]


def cholesky_factor(x):
    """`np.linalg.cholesky`."""
    out = x.copy()
    make_root(out)
    return out


def make_root(x):
    """A matrix becomes its Cholesky factor."""
    info = rooted_in_place(x)
    if info != 0:
        raise NotPositive(info)
    for i in range(x.shape[0]):
        for j in range(i + 1, x.shape[0]):
            x[i, j] = 0


def eigenvectors(x):
    """`np.linalg.eigh`."""
    turned, values = flipped(x), np.empty(x.shape[0], x.dtype)
    info = diagonalised_in_place(turned, values)
    if info != 0:
        raise ValuesNotFound(info)
    return values, flipped(turned)


def eigenvectors_from_above(x):
    """`np.linalg.eigh(x, "U")`."""
    turned, values = flipped(x), np.empty(x.shape[0], x.dtype)
    info = diagonalised_from_above(turned, values)
    if info != 0:
        raise ValuesNotFound(info)
    return values, flipped(turned)


def singular_vectors(x):
    """`np.linalg.svd` without the vectors that only complete a basis."""
    m, n = x.shape[0], x.shape[1]
    count = min(m, n)
    turned, values = flipped(x), np.empty(count, x.dtype)
    left, right = np.empty((count, m), x.dtype), np.empty((n, count), x.dtype)
    info = taken_apart_in_place(turned, left, values, right)
    if info != 0:
        raise SizesNotFound(info)
    return flipped(left), values, flipped(right)


def orthogonal_factors(x):
    """`np.linalg.qr` of a matrix with at least as many rows as columns."""
    n = x.shape[1]
    turned, sizes, upper = flipped(x), np.empty(n, x.dtype), np.zeros((n, n), x.dtype)
    reflected_in_place(turned, sizes)
    for i in range(n):
        for j in range(i, n):
            upper[i, j] = turned[j, i]
    multiplied_in_place(turned, sizes)
    return flipped(turned), upper

"""One ranked list for many queries: what each of them is answered when its own items are left out.

For families whose scores do not depend on the query's items (titles). A list long enough to lose all of
a query's items holds that query's best. Making the lists belongs to the family.
"""

from recsys_assets.models.kernels import kernel
from recsys_assets.playlists import MISSING, Bool, Float32, Int32, Int64


@kernel
def take_unheld(
    rows: Int64,
    list_of_row: Int64,
    list_items: Int32,
    list_scores: Float32,
    offsets: Int64,
    query_items: Int32,
    held: Bool,
    out_items: Int32,
    out_scores: Float32,
) -> None:
    """Fill `rows` of the results with the first items of their lists that the query lacks.

    Query `q` has ``query_items[offsets[q]:offsets[q + 1]]``, and the list of ``rows[i]`` is
    ``list_items[list_of_row[i]]``, best first, MISSING at its end. `held` bool[items] is scratch, all
    False, and given back so.
    """
    k = out_items.shape[1]
    for at in range(len(rows)):
        row, source = rows[at], list_of_row[at]
        for here in range(offsets[row], offsets[row + 1]):
            if query_items[here] != MISSING:
                held[query_items[here]] = True
        found = 0
        for place in range(list_items.shape[1]):
            item = list_items[source, place]
            if found == k or item == MISSING:
                break
            if not held[item]:
                out_items[row, found], out_scores[row, found] = item, list_scores[source, place]
                found += 1
        for place in range(found, k):
            out_items[row, place], out_scores[row, place] = MISSING, -float("inf")
        for here in range(offsets[row], offsets[row + 1]):
            if query_items[here] != MISSING:
                held[query_items[here]] = False

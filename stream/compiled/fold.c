/* Folds partials into rows of columns, in order: sums and extremes.

   The result is what NumPy's add.at, minimum.at and maximum.at leave. Whatever these treat in a way of its own, such as
   a row that isn't there or a number that isn't one, is left to them: then nothing is changed, and 0 is returned. */
#include "hot.h"

enum { MOST_COLUMNS = 16 };

static int are_rows(const int64_t *row, int64_t n, int64_t rows) {
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++) wrong |= (int64_t)((uint64_t)row[i] >= (uint64_t)rows);
    return !wrong;
}

int64_t tt_add_floats(double *into, int64_t rows, const int64_t *row, const double *from, int64_t n) {
    if (!are_rows(row, n, rows)) return 0;
    for (int64_t i = 0; i < n; i++) into[row[i]] += from[i];
    return 1;
}

int64_t tt_add_integers(uint64_t *into, int64_t rows, const int64_t *row, const uint64_t *from, int64_t n) {
    if (!are_rows(row, n, rows)) return 0;
    for (int64_t i = 0; i < n; i++) into[row[i]] += from[i];
    return 1;
}

static int are_numbers(const double *from, int64_t n) {
    int wrong = 0;
    for (int64_t i = 0; i < n; i++) wrong |= from[i] != from[i];
    return !wrong;
}

/* Less than zero where the new one is beaten, more where it wins, zero for a tie. */
static int compare_floats(double held, double new, int greatest) {
    return greatest ? (new > held) - (new < held) : (new < held) - (new > held);
}

static int compare_integers(int64_t held, int64_t new, int greatest) {
    return greatest ? (new > held) - (new < held) : (new < held) - (new > held);
}

/* Fold into the least or the greatest by the first n_keys of n_columns. The others are carried along.

   Bit k of `floats` says that column k has doubles, and of `greatest` that the greatest wins. Columns have 8 bytes an
   item. Of equal ones the last is carried. */
int64_t tt_extreme(void *const *into, const void *const *from, int64_t n_keys, int64_t n_columns, uint64_t floats,
                   uint64_t greatest, int64_t rows, const int64_t *row, int64_t n) {
    if (n_columns > MOST_COLUMNS || !are_rows(row, n, rows)) return 0;
    for (int64_t k = 0; k < n_keys; k++)
        if (floats >> k & 1 && !are_numbers(from[k], n)) return 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t to = row[i];
        int wins = 0;
        for (int64_t k = 0; k < n_keys && !wins; k++) {
            wins = floats >> k & 1
                       ? compare_floats(((const double *)into[k])[to], ((const double *)from[k])[i], greatest >> k & 1)
                       : compare_integers(((const int64_t *)into[k])[to], ((const int64_t *)from[k])[i],
                                          greatest >> k & 1);
            /* Zero and minus zero tie, and the last one stays. */
            if (!wins) ((uint64_t *)into[k])[to] = ((const uint64_t *)from[k])[i];
        }
        if (wins < 0) continue;
        for (int64_t k = 0; k < n_columns; k++) ((uint64_t *)into[k])[to] = ((const uint64_t *)from[k])[i];
    }
    return 1;
}

/* Raise the greatest id of each row to the last of its ids, if these rise from it on.

   Returns 0, with nothing changed, where any id isn't above all before it in its row. `before` has room for n numbers. */
int64_t tt_rise(int64_t *greatest, int64_t rows, const int64_t *row, const int64_t *id, int64_t n, int64_t *before) {
    if (!are_rows(row, n, rows)) return 0;
    for (int64_t i = 0; i < n; i++) {
        before[i] = greatest[row[i]];
        if (id[i] <= before[i]) {
            while (i-- > 0) greatest[row[i]] = before[i];
            return 0;
        }
        greatest[row[i]] = id[i];
    }
    return 1;
}

/* Folds partials into rows of columns, in order: sums and extremes.

   The result is what NumPy's add.at, minimum.at and maximum.at leave. Whatever these treat in a way of its own, such as
   a row that isn't there or a number that isn't one, is left to them. */
#include "hot.h"

enum { CHUNK = 512 };

static int are_rows(const int64_t *row, int64_t n, int64_t rows) {
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++) wrong |= (int64_t)((uint64_t)row[i] >= (uint64_t)rows);
    return !wrong;
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

/* A sum, which has no keys, or an extreme by the first n_keys of n_columns. The other columns are carried along.

   Bit k of `floats` says that column k has doubles, and of `greatest` that the greatest wins. Columns have 8 bytes an
   item. Of equal ones the last is carried. Nothing is added where all of an optional sum's values are zero. */
struct step {
    int64_t n_keys, n_columns;
    uint64_t floats, greatest;
    int64_t optional;
};

static int are_zeros(const double *floats, const int64_t *integers, int64_t n) {
    int other = 0;
    for (int64_t i = 0; i < n; i++) other |= floats ? floats[i] != 0 : integers[i] != 0;
    return !other;
}

static void add(const step *by, void *into, const void *from, const int64_t *row, int64_t n) {
    if (by->floats & 1) {
        for (int64_t i = 0; i < n; i++) ((double *)into)[row[i]] += ((const double *)from)[i];
    } else {
        for (int64_t i = 0; i < n; i++) ((uint64_t *)into)[row[i]] += ((const uint64_t *)from)[i];
    }
}

/* Whether the new one wins or ties by the keys from the second on, given that it ties by those before. */
static int wins_later(const step *by, void *const *into, const void *const *from, int64_t i, int64_t to) {
    int wins = 0;
    for (int64_t k = 1; k < by->n_keys && !wins; k++) {
        int greatest = by->greatest >> k & 1;
        wins = by->floats >> k & 1
                   ? compare_floats(((const double *)into[k])[to], ((const double *)from[k])[i], greatest)
                   : compare_integers(((const int64_t *)into[k])[to], ((const int64_t *)from[k])[i], greatest);
        /* Zero and minus zero tie, and the last one stays. */
        if (!wins) ((uint64_t *)into[k])[to] = ((const uint64_t *)from[k])[i];
    }
    return wins >= 0;
}

/* Nearly always the first key decides, so its type and order are taken out of the loop. */
#define EXTREME(type, compare, greatest)                                                                   \
    for (int64_t i = first; i < last; i++) {                                                               \
        int64_t to = row[i];                                                                               \
        int wins = compare(((const type *)into[0])[to], ((const type *)from[0])[i], greatest);             \
        if (wins < 0) continue;                                                                            \
        if (!wins) {                                                                                       \
            ((type *)into[0])[to] = ((const type *)from[0])[i];                                            \
            if (!wins_later(by, into, from, i, to)) continue;                                              \
        }                                                                                                  \
        for (int64_t k = 0; k < n_columns; k++) ((uint64_t *)into[k])[to] = ((const uint64_t *)from[k])[i]; \
    }

static void extreme(const step *by, void *const *into, const void *const *from, int64_t first, int64_t last,
                    const int64_t *row) {
    int64_t n_columns = by->n_columns;
    switch ((by->floats & 1) << 1 | (by->greatest & 1)) {
    case 0: EXTREME(int64_t, compare_integers, 0) break;
    case 1: EXTREME(int64_t, compare_integers, 1) break;
    case 2: EXTREME(double, compare_floats, 0) break;
    default: EXTREME(double, compare_floats, 1)
    }
}

/* Take at most 64 steps with n partials. `into` and `from` have the columns of all steps, one after the other.

   Bit k of the result says that step k is left to NumPy: that nothing is changed. */
uint64_t tt_fold(const step *steps, int64_t n_steps, void *const *into, const void *const *from, int64_t rows,
                 const int64_t *row, int64_t n) {
    if (!are_rows(row, n, rows)) return ~(uint64_t)0;
    uint64_t left = 0, skipped = 0;
    int64_t at = 0;
    for (int64_t k = 0; k < n_steps; at += steps[k++].n_columns) {
        for (int64_t key = 0; key < steps[k].n_keys; key++)
            if (steps[k].floats >> key & 1 && !are_numbers(from[at + key], n)) left |= (uint64_t)1 << k;
        int floats = steps[k].floats & 1;
        if (steps[k].optional && are_zeros(floats ? from[at] : NULL, floats ? NULL : from[at], n))
            skipped |= (uint64_t)1 << k;
    }
    /* All steps with some partials, and then the next ones: so the columns are still in the cache. */
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t last = first + CHUNK < n ? first + CHUNK : n;
        at = 0;
        for (int64_t k = 0; k < n_steps; at += steps[k++].n_columns) {
            if ((left | skipped) >> k & 1) continue;
            if (steps[k].n_keys)
                extreme(steps + k, into + at, from + at, first, last, row);
            else
                add(steps + k, into[at], (const uint64_t *)from[at] + first, row + first, last - first);
        }
    }
    return left;
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

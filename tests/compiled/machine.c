/* Has the hot path read standard input, and writes what it finds as it is in memory: test_machines.py has both layouts.

   So the same can be asked of a processor that there is only an emulator of. */
#include <stdio.h>
#include <stdlib.h>

#include "hot.h"

enum { POWERS = 2 * (308 + 342 + 1), FIELDS = 4, PLACES = 5, AHEAD = 64 };
enum { NAME, INTEGER, FLOAT, CHOICE };

static void *next(int64_t count, size_t size) {
    uint8_t *read = calloc((size_t)count * size + AHEAD, 1);
    if (!read || fread(read, size, (size_t)count, stdin) != (size_t)count) exit(2);
    return read;
}

static void decimals(int64_t n) {
    const int64_t *digits = next(n, 8), *exponents = next(n, 8);
    for (int64_t i = 0; i < n; i++) {
        double found = 0;
        double sure = decimal_nearest((uint64_t)digits[i], exponents[i], &found);
        fwrite(&sure, 8, 1, stdout);
        fwrite(&found, 8, 1, stdout);
    }
}

static void records(int64_t n, int64_t bytes) {
    names *known = tt_names_new(7);
    for (uint8_t code = 0; code < 26; code++)
        tt_names_add(known, (uint8_t[16]){(uint8_t)('A' + code), '-', 'U', 'S', 'D'}, 5);
    plan *of = tt_plan_new();
    const uint8_t symbol[16] = "symbol", price[16] = "price", count[16] = "count", side[16] = "side";
    tt_plan_field(of, symbol, 6, NAME, 1, 0, 1, 64, 0, 0, 0, 0, 0, 0, known);
    tt_plan_field(of, price, 5, FLOAT, 1, 0, 0, 0, 0, 1e300, 1, 0, 0, 0, NULL);
    tt_plan_field(of, count, 5, INTEGER, 0, 0, -1000000, INT64_MAX, 0, 0, 0, 0, 1, 1, NULL);
    tt_plan_field(of, side, 4, CHOICE, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, NULL);
    tt_plan_choice(of, (const uint8_t *)"buy", 3);
    tt_plan_choice(of, (const uint8_t *)"sell", 4);
    const int64_t *at = next(n, 8), *size = next(n, 8);
    const uint8_t *buffer = next(bytes, 1);
    int64_t *columns = calloc((size_t)(FIELDS * n), 8);
    uint8_t *given = calloc((size_t)n, 1), *scanned = calloc((size_t)n, 1);
    int64_t left = tt_scan(of, buffer, bytes, at, size, n, columns, given, scanned);
    fwrite(&left, 8, 1, stdout);
    fwrite(columns, 8, (size_t)(FIELDS * n), stdout);
    fwrite(given, 1, (size_t)n, stdout);
    fwrite(scanned, 1, (size_t)n, stdout);
}

static void batch(int64_t n, int64_t bytes) {
    const uint8_t *buffer = next(bytes, 1);
    int64_t *found = calloc((size_t)(PLACES * n), 8);
    uint8_t *marked = calloc((size_t)n, 1);
    int64_t fine = tt_split(buffer, 0, bytes, n, 1000, INT64_MAX, 5000, 0, 0, found, found + n, found + 2 * n, found + 3 * n,
                            found + 4 * n, (const uint8_t *)"bundle", 6, marked);
    fwrite(&fine, 8, 1, stdout);
    fwrite(found, 8, (size_t)(PLACES * n), stdout);
    fwrite(marked, 1, (size_t)n, stdout);
}

int main(void) {
    const int64_t *sizes = next(5, 8);
    tt_set_powers(next(POWERS, 8));
    decimals(sizes[0]);
    records(sizes[1], sizes[2]);
    batch(sizes[3], sizes[4]);
    return 0;
}

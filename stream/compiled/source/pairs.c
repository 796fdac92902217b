/* Rows by keys of two integers: a hash table with linear probing. What is dropped leaves no mark. */
#include <stdlib.h>
#include <string.h>

#include "hot.h"

typedef struct {
    int64_t first, second, row; /* No row: the slot is empty. */
} slot;

struct pairs {
    slot *slots;
    uint64_t capacity; /* A power of two. */
    uint64_t count, seed;
};

enum { NO_ROW = -1, FIRST_CAPACITY = 64 };

static slot *empty_slots(uint64_t capacity) {
    slot *slots = malloc(capacity * sizeof(slot));
    for (uint64_t i = 0; slots && i < capacity; i++) slots[i].row = NO_ROW;
    return slots;
}

pairs *tt_pairs_new(uint64_t seed) {
    pairs *of = calloc(1, sizeof *of);
    if (!of) return NULL;
    *of = (pairs){empty_slots(FIRST_CAPACITY), FIRST_CAPACITY, 0, seed};
    if (of->slots) return of;
    free(of);
    return NULL;
}

void tt_pairs_free(pairs *of) {
    if (!of) return;
    free(of->slots);
    free(of);
}

/* Where a key is looked for first. */
static uint64_t home(const pairs *of, int64_t first, int64_t second) {
    wide mixed = (wide)((uint64_t)first ^ of->seed) * 0x9E3779B97F4A7C15u;
    uint64_t word = (uint64_t)(mixed >> 64) ^ (uint64_t)mixed ^ (uint64_t)second;
    mixed = (wide)word * 0xD6E8FEB86659FD93u;
    return ((uint64_t)(mixed >> 64) ^ (uint64_t)mixed) & (of->capacity - 1);
}

static slot *find(const pairs *of, int64_t first, int64_t second) {
    uint64_t at = home(of, first, second);
    while (of->slots[at].row != NO_ROW && (of->slots[at].first != first || of->slots[at].second != second))
        at = (at + 1) & (of->capacity - 1);
    return of->slots + at;
}

static int grow(pairs *of) {
    pairs larger = {empty_slots(2 * of->capacity), 2 * of->capacity, of->count, of->seed};
    if (!larger.slots) return 0;
    for (uint64_t i = 0; i < of->capacity; i++)
        if (of->slots[i].row != NO_ROW) *find(&larger, of->slots[i].first, of->slots[i].second) = of->slots[i];
    free(of->slots);
    *of = larger;
    return 1;
}

/* The row of each of n keys, -1 for none. */
void tt_pairs_find(const pairs *of, const int64_t *first, const int64_t *second, int64_t n, int64_t *row) {
    for (int64_t i = 0; i < n; i++) row[i] = find(of, first[i], second[i])->row;
}

/* The row of each of n keys; a new key gets the next of `fresh`, and its place is noted in `added`.
   Returns how many are new, or -1 where memory is short. */
int64_t tt_pairs_add(pairs *of, const int64_t *first, const int64_t *second, int64_t n, const int64_t *fresh,
                     int64_t *row, int64_t *added) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (2 * (of->count + 1) > of->capacity && !grow(of)) return -1;
        slot *it = find(of, first[i], second[i]);
        if (it->row == NO_ROW) {
            *it = (slot){first[i], second[i], fresh[count]};
            added[count++] = i;
            of->count++;
        }
        row[i] = it->row;
    }
    return count;
}

/* Forget n keys. Slots behind a dropped one move up, as far as they would have been there first. */
void tt_pairs_drop(pairs *of, const int64_t *first, const int64_t *second, int64_t n) {
    uint64_t mask = of->capacity - 1;
    for (int64_t i = 0; i < n; i++) {
        uint64_t hole = (uint64_t)(find(of, first[i], second[i]) - of->slots);
        if (of->slots[hole].row == NO_ROW) continue;
        for (uint64_t at = (hole + 1) & mask; of->slots[at].row != NO_ROW; at = (at + 1) & mask) {
            uint64_t wanted = home(of, of->slots[at].first, of->slots[at].second);
            if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
            of->slots[hole] = of->slots[at];
            hole = at;
        }
        of->slots[hole].row = NO_ROW;
        of->count--;
    }
}

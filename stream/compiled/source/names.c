/* Codes of names, given in the order in which names are added: a hash table with linear probing. */
#include <stdlib.h>
#include <string.h>

#include "hot.h"

typedef struct {
    uint64_t hash; /* Never 0 where a name is. */
    int32_t code;
    int32_t size;
    int64_t at; /* Where its bytes begin in `text`. */
} slot;

struct names {
    slot *slots;
    uint64_t capacity; /* A power of two. */
    int64_t count;
    uint8_t *text;
    int64_t text_size, text_capacity;
    uint64_t seed; /* Nobody outside knows it, so nobody can choose names that collide. */
};

/* READ_PAST bytes past the last name are readable. */
enum { FIRST_CAPACITY = 256, FIRST_TEXT = 4096, READ_PAST = 8 };

/* The last bytes are read eight at a time, and those past the end count as zeros. */
static uint64_t hash_of(uint64_t seed, const uint8_t *name, int64_t size) {
    uint64_t hash = seed ^ (uint64_t)size * 0x9E3779B97F4A7C15u;
    for (; size > 0; name += 8, size -= 8) {
        uint64_t word = word_at(name);
        if (size < 8) word &= ((uint64_t)1 << 8 * size) - 1;
        wide product = (wide)(hash ^ word) * 0xD6E8FEB86659FD93u;
        hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ seed;
    }
    return hash ? hash : 1;
}

void tt_names_clear(names *known) {
    memset(known->slots, 0, known->capacity * sizeof(slot));
    known->count = known->text_size = 0;
}

void tt_names_free(names *known) {
    if (!known) return;
    free(known->slots);
    free(known->text);
    free(known);
}

names *tt_names_new(uint64_t seed) {
    names *known = calloc(1, sizeof *known);
    if (!known) return NULL;
    known->slots = calloc(FIRST_CAPACITY, sizeof(slot));
    known->text = malloc(FIRST_TEXT);
    known->capacity = FIRST_CAPACITY;
    known->text_capacity = FIRST_TEXT;
    known->seed = seed;
    if (!known->slots || !known->text) {
        tt_names_free(known);
        return NULL;
    }
    return known;
}

static slot *place(slot *slots, uint64_t capacity, uint64_t hash) {
    uint64_t at = hash & (capacity - 1);
    while (slots[at].hash) at = (at + 1) & (capacity - 1);
    return slots + at;
}

static int grow(names *known) {
    uint64_t capacity = 2 * known->capacity;
    slot *slots = calloc(capacity, sizeof(slot));
    if (!slots) return 0;
    for (uint64_t i = 0; i < known->capacity; i++)
        if (known->slots[i].hash) *place(slots, capacity, known->slots[i].hash) = known->slots[i];
    free(known->slots);
    known->slots = slots;
    known->capacity = capacity;
    return 1;
}

/* Add a new name, with 7 readable bytes past its end; return its code, or -1 where memory is short. */
int64_t tt_names_add(names *known, const uint8_t *name, int64_t size) {
    if (2 * ((uint64_t)known->count + 1) > known->capacity && !grow(known)) return -1;
    if (known->text_size + size + READ_PAST > known->text_capacity) {
        int64_t capacity = 2 * (known->text_size + size + READ_PAST);
        uint8_t *text = realloc(known->text, (size_t)capacity);
        if (!text) return -1;
        known->text = text;
        known->text_capacity = capacity;
    }
    uint64_t hash = hash_of(known->seed, name, size);
    *place(known->slots, known->capacity, hash) = (slot){hash, (int32_t)known->count, (int32_t)size, known->text_size};
    memcpy(known->text + known->text_size, name, (size_t)size);
    known->text_size += size;
    return known->count++;
}

/* Whether names of this size are equal. Up to 7 bytes past their ends are read, and don't count. */
static int are_equal(const uint8_t *one, const uint8_t *other, int64_t size) {
    for (;; one += 8, other += 8, size -= 8) {
        uint64_t first = word_at(one), second = word_at(other);
        if (size < 8) return !((first ^ second) << 1 << (63 - 8 * size));
        if (first != second) return 0;
    }
}

int64_t names_find(const names *known, const uint8_t *name, int64_t size) {
    uint64_t hash = hash_of(known->seed, name, size);
    for (uint64_t at = hash & (known->capacity - 1); known->slots[at].hash; at = (at + 1) & (known->capacity - 1)) {
        const slot *each = known->slots + at;
        if (each->hash == hash && each->size == size && are_equal(known->text + each->at, name, size)) return each->code;
    }
    return -1;
}

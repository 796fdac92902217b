/* The fields of a record: what `tt_plan_field` and `tt_plan_choice` are given. */
#ifndef TICKERTAPE_PLAN_H
#define TICKERTAPE_PLAN_H

#include "hot.h"

enum { MOST_FIELDS = 64 };
enum { NAME, INTEGER, FLOAT, CHOICE };

typedef struct {
    int64_t size;
    uint64_t head, head_mask; /* Its first 8 bytes, and which bits of them count. */
    int64_t plain;            /* Whether JSON has it as it is. */
    uint8_t text[64];
} choice;

typedef struct {
    int64_t kind, nullable;
    /* With quotes and colon: "price": */
    uint8_t key[72];
    int64_t key_size;
    uint64_t head, head_mask, next, next_mask; /* Its first 16 bytes, and which bits of them count. */
    int64_t least, most;                       /* Of an integer, or of a name's letters. */
    double low, high;
    int64_t above_low, below_high; /* Whether the bounds themselves are outside. */
    int64_t otherwise, otherwise_given; /* The bits of the default, and whether it isn't None. */
    const names *known;
    choice *choices;
    int64_t n_choices;
    int64_t given_at; /* The row of `given`, for a nullable one. */
} field;

struct plan {
    int64_t n_fields, n_nullable;
    uint64_t required; /* Bit k says that field k is. */
    field fields[MOST_FIELDS];
};

#endif

/* The compiled hot path: what its files share. Python calls the functions whose names begin with tt_, through ctypes. */
#ifndef TICKERTAPE_HOT_H
#define TICKERTAPE_HOT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are read as little-endian processors hold them"
#endif

__extension__ typedef unsigned __int128 wide;
typedef struct names names;

/* The code of a name, or -1. May read 7 bytes past its end. */
int64_t names_find(const names *known, const uint8_t *name, int64_t size);

/* Every integer up to 2^53 and each of these powers of ten is a double: one operation with both rounds once. */
enum { MOST_PLACES = 22 };
extern const double exact_tens[MOST_PLACES + 1];

static inline uint64_t word_at(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

/* The double nearest to digits * 10^exponent. Returns 0 where it isn't sure, and for zero, subnormal and infinite ones. */
int decimal_nearest(uint64_t digits, int64_t exponent, double *nearest);

/* The shortest decimal that is read as this double, which is above zero and finite: digits * 10^exponent. */
void shortest_decimal(double number, uint64_t *digits, int32_t *exponent);

/* What Python calls. Each is described where it is defined; here, a definition or a caller that differs doesn't compile. */
typedef struct plan plan;
typedef struct pairs pairs;
typedef struct part part;
typedef struct step step;

void tt_set_powers(const uint64_t *from);
void tt_set_tens(const uint64_t *from);

names *tt_names_new(uint64_t seed);
void tt_names_free(names *known);
void tt_names_clear(names *known);
int64_t tt_names_add(names *known, const uint8_t *name, int64_t size);

plan *tt_plan_new(void);
void tt_plan_free(plan *of);
int64_t tt_plan_field(plan *of, const uint8_t *name, int64_t size, int64_t kind, int64_t required, int64_t nullable,
                      int64_t least, int64_t most, double low, double high, int64_t above_low, int64_t below_high,
                      int64_t otherwise, int64_t otherwise_given, const names *known);
int64_t tt_plan_choice(plan *of, const uint8_t *text, int64_t size);
int64_t tt_scan(const plan *of, const uint8_t *buffer, int64_t buffer_size, const int64_t *at, const int64_t *size,
                int64_t n, int64_t *columns, uint8_t *given, uint8_t *scanned);

int64_t tt_unbundle(const plan *of, const uint8_t *value, int64_t size, int64_t n, int64_t *columns, uint8_t *given,
                    int64_t stride);

int64_t tt_split(const uint8_t *bytes, int64_t first, int64_t last, int64_t count, int64_t base_offset,
                 int64_t span, int64_t first_ms, int64_t last_ms, int64_t appended, int64_t *value_at, int64_t *value_size,
                 int64_t *offset, int64_t *time_ms, int64_t *headers_at, const uint8_t *key, int64_t key_size,
                 uint8_t *marked);

pairs *tt_pairs_new(uint64_t seed);
void tt_pairs_free(pairs *of);
void tt_pairs_find(const pairs *of, const int64_t *first, const int64_t *second, int64_t n, int64_t *row);
int64_t tt_pairs_add(pairs *of, const int64_t *first, const int64_t *second, int64_t n, const int64_t *fresh,
                     int64_t *row, int64_t *added);
void tt_pairs_drop(pairs *of, const int64_t *first, const int64_t *second, int64_t n);

uint64_t tt_fold(const step *steps, int64_t n_steps, void *const *into, const void *const *from, int64_t rows,
                 const int64_t *row, int64_t n);
int64_t tt_rise(int64_t *greatest, int64_t rows, const int64_t *row, const int64_t *id, int64_t n, int64_t *before);

void tt_write_rows(const part *parts, int64_t n_parts, int64_t first, int64_t n, uint8_t *to, int64_t *at);
int64_t tt_frame(const uint8_t *bytes, const int64_t *key_at, const int64_t *key_size, const int64_t *value_at,
                 const int64_t *value_size, int64_t n, int64_t offset, int64_t delta_ms, uint8_t *to, int64_t room,
                 int64_t *written);

#endif

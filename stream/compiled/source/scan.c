/* Flat JSON objects as columns, without a Python object for a record.

   The scanner is strict. It reads the objects that feeds write: known keys, each once, numbers, plain ASCII names, and
   no white space but single blanks. Whatever else it meets it leaves to msgspec, also what may be an error, so the
   result is the same for every input. */
#include <stdlib.h>
#include <string.h>

#include "hot.h"
#include "plan.h"

/* Up to so many bytes past a value's end are read ahead: where the value is cut off, and what follows looks like the rest
   of a number, they are a minus, MOST_DIGITS digits, a point and MOST_READ bytes. A value nearer to its buffer's end is
   copied first. */
enum { AHEAD = 48, COPIED = 1024 };
/* With more digits that count a number may not fit 64 bits; MOST_READ are looked at. */
enum { MOST_DIGITS = 19, MOST_READ = 24 };

plan *tt_plan_new(void) { return calloc(1, sizeof(plan)); }

void tt_plan_free(plan *of) {
    if (!of) return;
    for (int64_t i = 0; i < of->n_fields; i++) free(of->fields[i].choices);
    free(of);
}

static uint64_t mask_of(int64_t bytes) {
    return bytes >= 8 ? UINT64_MAX : bytes <= 0 ? 0 : ((uint64_t)1 << 8 * bytes) - 1;
}

/* Add a field; return 0 where there is no room for it. The name is without quotes, and plain. */
int64_t tt_plan_field(plan *of, const uint8_t *name, int64_t size, int64_t kind, int64_t required, int64_t nullable,
                      int64_t least, int64_t most, double low, double high, int64_t above_low, int64_t below_high,
                      int64_t otherwise, int64_t otherwise_given, const names *known) {
    if (of->n_fields == MOST_FIELDS) return 0;
    field *it = of->fields + of->n_fields;
    if (size + 3 > (int64_t)sizeof it->key) return 0;
    *it = (field){.kind = kind, .nullable = nullable, .least = least, .most = most,
                  .low = low, .high = high, .above_low = above_low, .below_high = below_high,
                  .otherwise = otherwise, .otherwise_given = otherwise_given, .known = known};
    it->key[0] = '"';
    memcpy(it->key + 1, name, (size_t)size);
    it->key[size + 1] = '"';
    it->key[size + 2] = ':';
    it->key_size = size + 3;
    it->head_mask = mask_of(it->key_size);
    it->next_mask = mask_of(it->key_size - 8);
    it->head = word_at(it->key) & it->head_mask;
    it->next = word_at(it->key + 8) & it->next_mask;
    it->given_at = nullable ? of->n_nullable++ : -1;
    of->required |= (uint64_t)(required != 0) << of->n_fields++;
    return 1;
}

/* Add a choice of the newest field; return 0 where there is no room for it. */
int64_t tt_plan_choice(plan *of, const uint8_t *text, int64_t size) {
    field *it = of->fields + of->n_fields - 1;
    if (size > (int64_t)sizeof it->choices->text) return 0;
    choice *more = realloc(it->choices, (size_t)(it->n_choices + 1) * sizeof(choice));
    if (!more) return 0;
    it->choices = more;
    choice *new = more + it->n_choices++;
    *new = (choice){.size = size, .head_mask = mask_of(size), .plain = 1};
    memcpy(new->text, text, (size_t)size);
    new->head = word_at(new->text);
    for (int64_t i = 0; i < size; i++)
        new->plain &= text[i] >= ' ' && text[i] < 0x80 && text[i] != '"' && text[i] != '\\';
    return 1;
}

static int begins_with_key(const field *it, const uint8_t *at, const uint8_t *end) {
    if (((word_at(at) & it->head_mask) ^ it->head) | ((word_at(at + 8) & it->next_mask) ^ it->next)) return 0;
    if (end - at <= it->key_size) return 0;
    return it->key_size <= 16 || !memcmp(at + 16, it->key + 16, (size_t)it->key_size - 16);
}

/* Up to eight digits: how many; they are appended to those read so far. */
static inline int eight_digits(const uint8_t *at, uint64_t *read) {
    static const uint64_t tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t word = word_at(at) ^ 0x3030303030303030u;
    /* In each byte that is above nine, the highest bit. */
    uint64_t others = ((word + 0x7676767676767676u) | word) & 0x8080808080808080u;
    int count = others ? __builtin_ctzll(others) >> 3 : 8;
    if (!count) return 0;
    word <<= 8 * (8 - count);
    word = (word * 2561 >> 8) & 0x00FF00FF00FF00FFu;
    word = (word * 6553601 >> 16) & 0x0000FFFF0000FFFFu;
    *read = *read * tens[count] + (word * 42949672960001u >> 32);
    return count;
}

/* Digits: how many, at most MOST_READ; they are appended to those read so far. */
static inline int digits(const uint8_t *at, uint64_t *read) {
    int count = eight_digits(at, read);
    if (count == 8) count += eight_digits(at + 8, read);
    if (count == 16) count += eight_digits(at + 16, read);
    return count;
}

/* Plain ASCII behind a quote: its size up to the closing quote, or -1. */
static int64_t text(const uint8_t *at, const uint8_t *end) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (const uint8_t *each = at; each < end; each += 8) {
        uint64_t word = word_at(each), quote = word ^ ones * '"', back = word ^ ones * '\\';
        uint64_t quotes = (quote - ones) & ~quote & tops;
        /* A backslash, a control character, or no ASCII. Above the first of these and of the quotes, flags may be wrong. */
        uint64_t others = (((back - ones) & ~back) | ((word - ones * 0x20) & ~word) | word) & tops;
        if (others | quotes) {
            if (!quotes || (others && __builtin_ctzll(others) < __builtin_ctzll(quotes))) return -1;
            each += __builtin_ctzll(quotes) >> 3;
            return each < end ? each - at : -1;
        }
    }
    return -1;
}

static const uint8_t *read_name(const field *it, const uint8_t *at, const uint8_t *end, int64_t *to) {
    if (*at != '"') return NULL;
    int64_t size = text(++at, end);
    if (size < it->least || size > it->most) return NULL;
    int64_t code = names_find(it->known, at, size);
    if (code < 0) return NULL;
    *to = code;
    return at + size + 1;
}

static const uint8_t *read_choice(const field *it, const uint8_t *at, const uint8_t *end, int64_t *to) {
    if (*at != '"') return NULL;
    at++;
    for (int64_t i = 0; i < it->n_choices; i++) {
        const choice *each = it->choices + i;
        if ((word_at(at) & each->head_mask) != each->head || end - at <= each->size || at[each->size] != '"') continue;
        if (!each->plain || (each->size > 8 && memcmp(at, each->text, (size_t)each->size))) continue;
        *to = i;
        return at + each->size + 1;
    }
    return NULL;
}

static const uint8_t *read_integer(const field *it, const uint8_t *at, int64_t *to) {
    int negative = *at == '-';
    uint64_t read = 0;
    int count = digits(at += negative, &read);
    if (!count || count > MOST_DIGITS || (*at == '0' && (count > 1 || negative)) || read > INT64_MAX) return NULL;
    int64_t value = negative ? -(int64_t)read : (int64_t)read;
    if (value < it->least || value > it->most) return NULL;
    *to = value;
    return at + count;
}

static const uint8_t *read_float(const field *it, const uint8_t *at, int64_t *to) {
    int negative = *at == '-';
    uint64_t read = 0;
    int count = digits(at += negative, &read);
    if (!count || count > MOST_DIGITS || (*at == '0' && count > 1)) return NULL;
    int counted = *at == '0' ? 0 : count;
    int64_t exponent = 0;
    at += count;
    if (*at == '.') {
        count = digits(++at, &read);
        if (!count || count == MOST_READ) return NULL;
        /* Zeros don't count before the first other digit. */
        int zeros = 0;
        while (!counted && zeros < count && at[zeros] == '0') zeros++;
        if (counted + count - zeros > MOST_DIGITS) return NULL;
        exponent = -count;
        at += count;
    }
    if (*at == 'e' || *at == 'E') {
        int below = at[1] == '-';
        at += 1 + (below || at[1] == '+');
        uint64_t power = 0;
        count = eight_digits(at, &power);
        if (!count || count > 4) return NULL;
        exponent += below ? -(int64_t)power : (int64_t)power;
        at += count;
    }
    double value;
    if (!decimal_nearest(read, exponent, &value)) return NULL;
    if (negative) value = -value;
    if (value < it->low || value > it->high || (it->above_low && value == it->low) ||
        (it->below_high && value == it->high))
        return NULL;
    memcpy(to, &value, 8);
    return at;
}

static const uint8_t *blanks(const uint8_t *at, const uint8_t *end) {
    while (*at == ' ' && at < end) at++;
    return at;
}

/* The field whose key is here, but not field k; or -1. */
static int64_t other_field(const plan *of, int64_t k, const uint8_t *at, const uint8_t *end) {
    for (int64_t tried = 1; tried < of->n_fields; tried++) {
        if (++k == of->n_fields) k = 0;
        if (begins_with_key(of->fields + k, at, end)) return k;
    }
    return -1;
}

/* `after` has, for each field, the one that came behind it last time, and at MOST_FIELDS the first one. */
static int scan_one(const plan *of, const uint8_t *at, const uint8_t *end, int64_t *columns, uint8_t *given, int64_t n,
                    int64_t i, uint8_t *after) {
    uint64_t seen = 0;
    int64_t last = MOST_FIELDS;
    if (end - at < 2 || *at++ != '{') return 0;
    for (;;) {
        at = blanks(at, end);
        int64_t k = after[last];
        if (!begins_with_key(of->fields + k, at, end)) {
            if ((k = other_field(of, k, at, end)) < 0) return 0;
            after[last] = (uint8_t)k;
        }
        if (seen >> k & 1) return 0;
        const field *it = of->fields + k;
        seen |= (uint64_t)1 << k;
        last = k;
        at = blanks(at + it->key_size, end);
        int64_t *to = columns + k * n + i;
        if (it->nullable) {
            int null = *at == 'n' && end - at > 4 && !memcmp(at, "null", 4);
            given[it->given_at * n + i] = !null;
            if (null) {
                *to = 0;
                at += 4;
                goto behind;
            }
        }
        switch (it->kind) {
        case NAME: at = read_name(it, at, end, to); break;
        case CHOICE: at = read_choice(it, at, end, to); break;
        case INTEGER: at = read_integer(it, at, to); break;
        default: at = read_float(it, at, to);
        }
        if (!at) return 0;
    behind:
        at = blanks(at, end);
        if (at >= end) return 0;
        if (*at == '}') break;
        if (*at++ != ',') return 0;
    }
    uint64_t missing = ~seen & (UINT64_MAX >> (64 - of->n_fields));
    if (at + 1 != end || missing & of->required) return 0;
    for (; missing; missing &= missing - 1) {
        int64_t k = __builtin_ctzll(missing);
        const field *it = of->fields + k;
        columns[k * n + i] = it->otherwise;
        if (it->nullable) given[it->given_at * n + i] = (uint8_t)it->otherwise_given;
    }
    return 1;
}

/* Scan n values, each `size` bytes from `at` on in a buffer of buffer_size bytes.

   columns has a row of n for each field; given has one for each nullable field; scanned says which values were read.
   Returns how many were not. */
int64_t tt_scan(const plan *of, const uint8_t *buffer, int64_t buffer_size, const int64_t *at, const int64_t *size,
                int64_t n, int64_t *columns, uint8_t *given, uint8_t *scanned) {
    int64_t left = 0;
    uint8_t copy[COPIED + AHEAD], after[MOST_FIELDS + 1] = {0};
    for (int64_t k = 0; k + 1 < of->n_fields; k++) after[k] = (uint8_t)(k + 1);
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *value = buffer + at[i];
        scanned[i] = 0;
        if (size[i] > 0 && at[i] + size[i] + AHEAD > buffer_size) {
            if (size[i] <= COPIED) {
                memcpy(copy, value, (size_t)size[i]);
                memset(copy + size[i], 0, AHEAD);
                scanned[i] = (uint8_t)scan_one(of, copy, copy + size[i], columns, given, n, i, after);
            }
        } else if (size[i] > 0)
            scanned[i] = (uint8_t)scan_one(of, value, value + size[i], columns, given, n, i, after);
        left += !scanned[i];
    }
    return left;
}

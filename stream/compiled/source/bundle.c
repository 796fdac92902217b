/* The columns of a bundle, without a Python object for an event: see docs/bundles.md.

   Like the scanner it is strict. It reads what feeds write: known fields and names, all values within their bounds. A
   bundle with anything else in it, also with what may be an error, is left to Python as a whole. */
#include <string.h>

#include "hot.h"
#include "plan.h"

enum { MOST_EVENTS = 4096 };
#define MOST_EXACT ((int64_t)1 << 53)

/* MessagePack from `at` on. Once `broken`, what is read means nothing. */
typedef struct {
    const uint8_t *at, *end;
    int broken;
} reader;

static uint64_t unsigned_of(reader *from, int64_t size) {
    uint64_t read = 0;
    if (from->end - from->at < size) from->broken = 1;
    for (int64_t i = 0; i < size && !from->broken; i++) read = read << 8 | *from->at++;
    return read;
}

static uint8_t head_of(reader *from) { return (uint8_t)unsigned_of(from, 1); }

static int64_t signed_of(reader *from, int64_t size) {
    uint64_t read = unsigned_of(from, size), top = (uint64_t)1 << (8 * size - 1);
    return (int64_t)((read ^ top) - top);
}

static int64_t integer(reader *from) {
    uint8_t head = head_of(from);
    if (head < 0x80) return head;
    if (head >= 0xE0) return (int64_t)head - 256;
    if (head >= 0xCC && head <= 0xCF) {
        uint64_t read = unsigned_of(from, 1 << (head - 0xCC));
        if (read > INT64_MAX) from->broken = 1;
        return from->broken ? 0 : (int64_t)read;
    }
    if (head >= 0xD0 && head <= 0xD3) return signed_of(from, 1 << (head - 0xD0));
    from->broken = 1;
    return 0;
}

/* How many items an array or a map has: a head of `few` with up to `most` of them, or `more` with two bytes. */
static int64_t count(reader *from, uint8_t few, int64_t most, uint8_t more) {
    uint8_t head = head_of(from);
    if (head == more) return (int64_t)unsigned_of(from, 2);
    if (head < few || head > few + most) from->broken = 1;
    return head - few;
}

static int64_t array(reader *from) { return count(from, 0x90, 15, 0xDC); }
static int64_t map(reader *from) { return count(from, 0x80, 15, 0xDE); }

static const uint8_t *take(reader *from, int64_t size) {
    const uint8_t *at = from->at;
    if (size < 0 || size > from->end - at) from->broken = 1;
    if (from->broken) return from->end;
    from->at += size;
    return at;
}

static const uint8_t *text(reader *from, int64_t *size) {
    uint8_t head = head_of(from);
    if (head >= 0xA0 && head <= 0xBF)
        *size = head - 0xA0;
    else if (head >= 0xD9 && head <= 0xDA)
        *size = (int64_t)unsigned_of(from, 1 << (head - 0xD9));
    else
        from->broken = 1;
    return take(from, from->broken ? -1 : *size);
}

static const uint8_t *bytes(reader *from, int64_t *size) {
    uint8_t head = head_of(from);
    if (head < 0xC4 || head > 0xC6) from->broken = 1;
    if (!from->broken) *size = (int64_t)unsigned_of(from, 1 << (head - 0xC4));
    return take(from, from->broken ? -1 : *size);
}

static int is(const uint8_t *read, int64_t size, const char *name) {
    return size == (int64_t)strlen(name) && !memcmp(read, name, (size_t)size);
}

#define READ(kind, step)                                                   \
    for (int64_t i = 0; i < n; i++) {                                      \
        kind number;                                                       \
        memcpy(&number, data + i * (int64_t)sizeof number, sizeof number); \
        step;                                                              \
    }
#define EACH(kind) READ(kind, to[i] = (int64_t)((uint64_t)base + (uint64_t)number))
#define SUM(kind) READ(kind, to[i] = (int64_t)(sum += (uint64_t)(int64_t)number))

/* The parts of a column of integers, behind its kind. */
static void integers(reader *from, int64_t n, int64_t *to) {
    int64_t base = integer(from), size = 0;
    const uint8_t *data = bytes(from, &size);
    uint8_t steps = head_of(from);
    if ((steps != 0xC2 && steps != 0xC3) || (size && size != n && size != 2 * n && size != 4 * n && size != 8 * n))
        from->broken = 1;
    if (from->broken) return;
    uint64_t sum = (uint64_t)base;
    switch (size / n + (steps == 0xC3 ? 16 : 0)) {
    case 1: EACH(uint8_t) break;
    case 2: EACH(uint16_t) break;
    case 4: EACH(uint32_t) break;
    case 8: EACH(uint64_t) break;
    case 17: SUM(int8_t) break;
    case 18: SUM(int16_t) break;
    case 20: SUM(int32_t) break;
    case 24: SUM(int64_t) break;
    default:
        for (int64_t i = 0; i < n; i++) to[i] = base;
    }
}

/* A nested column of integers, with its kind. */
static void inner_integers(reader *from, int64_t n, int64_t *to) {
    int64_t size = 0;
    if (array(from) != 4) from->broken = 1;
    const uint8_t *kind = text(from, &size);
    if (from->broken || !is(kind, size, "integers")) from->broken = 1;
    if (!from->broken) integers(from, n, to);
}

static void decimals(reader *from, int64_t n, int64_t *to) {
    inner_integers(from, n, to);
    int64_t exponent = integer(from), wrong = 0;
    if (exponent < -MOST_PLACES || exponent > MOST_PLACES) from->broken = 1;
    if (from->broken) return;
    for (int64_t i = 0; i < n; i++) wrong |= to[i] < -MOST_EXACT || to[i] > MOST_EXACT;
    if (wrong) from->broken = 1;
    double ten = exact_tens[exponent < 0 ? -exponent : exponent];
    for (int64_t i = 0; i < n; i++) {
        double number = exponent < 0 ? (double)to[i] / ten : (double)to[i] * ten;
        memcpy(to + i, &number, 8);
    }
}

static int64_t code_of(const field *it, const uint8_t *name, int64_t size, const uint8_t *end) {
    if (it->kind == CHOICE) {
        for (int64_t i = 0; i < it->n_choices; i++)
            if (it->choices[i].size == size && !memcmp(it->choices[i].text, name, (size_t)size)) return i;
        return -1;
    }
    /* A name may be read beyond its end; and letters of several bytes aren't counted here. */
    if (size < it->least || size > it->most || end - name < size + 8) return -1;
    for (int64_t i = 0; i < size; i++)
        if (name[i] > 127) return -1;
    return names_find(it->known, name, size);
}

/* Texts that are names, or choices. */
static void texts(reader *from, const field *it, int64_t n, int64_t *to) {
    int64_t codes[MOST_EVENTS], n_codes = array(from), wrong = 0;
    if (n_codes > MOST_EVENTS) from->broken = 1;
    for (int64_t i = 0; i < n_codes && !from->broken; i++) {
        int64_t size = 0;
        const uint8_t *name = text(from, &size);
        if (from->broken || (codes[i] = code_of(it, name, size, from->end)) < 0) from->broken = 1;
    }
    if (!from->broken) inner_integers(from, n, to);
    if (from->broken) return;
    for (int64_t i = 0; i < n; i++) wrong |= to[i] < 0 || to[i] >= n_codes;
    if (wrong) from->broken = 1;
    for (int64_t i = 0; i < n && !wrong; i++) to[i] = codes[to[i]];
}

static void column(reader *from, const field *it, int64_t n, int64_t *to) {
    int64_t parts = array(from), size = 0;
    const uint8_t *kind = text(from, &size);
    if (from->broken) return;
    if (it->kind == INTEGER && parts == 4 && is(kind, size, "integers"))
        integers(from, n, to);
    else if (it->kind == FLOAT && parts == 3 && is(kind, size, "decimals"))
        decimals(from, n, to);
    else if (it->kind == FLOAT && parts == 2 && is(kind, size, "floats")) {
        const uint8_t *data = bytes(from, &size);
        if (from->broken || size != 8 * n)
            from->broken = 1;
        else
            memcpy(to, data, (size_t)size);
    } else if ((it->kind == NAME || it->kind == CHOICE) && parts == 3 && is(kind, size, "texts"))
        texts(from, it, n, to);
    else
        from->broken = 1;
}

static const field *named(const plan *of, reader *from) {
    int64_t size = 0;
    const uint8_t *name = text(from, &size);
    for (const field *it = of->fields; !from->broken && it < of->fields + of->n_fields; it++)
        if (it->key_size == size + 3 && !memcmp(it->key + 1, name, (size_t)size)) return it;
    from->broken = 1;
    return NULL;
}

static int in_bounds(const field *it, const int64_t *column, const uint8_t *given, int64_t n) {
    int64_t wrong = 0;
    if (it->kind == INTEGER) {
        for (int64_t i = 0; i < n; i++)
            wrong |= (column[i] < it->least || column[i] > it->most) & (!given || given[i]);
    } else if (it->kind == FLOAT) {
        for (int64_t i = 0; i < n; i++) {
            double number;
            memcpy(&number, column + i, 8);
            int above = it->above_low ? number > it->low : number >= it->low;
            int below = it->below_high ? number < it->high : number <= it->high;
            int finite = number - number == 0;
            wrong |= !(above & below & finite) & (!given || given[i]);
        }
    }
    return !wrong;
}

/* Read the n events of a bundle, whose value has `size` bytes.

   columns has a row for each field, of which n numbers are written, and given one for each nullable field; the rows
   begin `stride` numbers apart. Returns 1, or 0 where Python has to read the bundle: then columns and given hold
   nothing. */
int64_t tt_unbundle(const plan *of, const uint8_t *value, int64_t size, int64_t n, int64_t *columns, uint8_t *given,
                    int64_t stride) {
    reader from = {value, value + size, 0};
    uint64_t seen = 0, said = 0;
    if (n < 1 || n > MOST_EVENTS || array(&from) != 2) return 0;
    int64_t n_columns = map(&from);
    for (int64_t i = 0; i < n_columns && !from.broken; i++) {
        const field *it = named(of, &from);
        if (!it || seen >> (it - of->fields) & 1) return 0;
        seen |= (uint64_t)1 << (it - of->fields);
        column(&from, it, n, columns + (it - of->fields) * stride);
    }
    int64_t n_given = map(&from);
    for (int64_t i = 0; i < n_given && !from.broken; i++) {
        const field *it = named(of, &from);
        if (!it || !it->nullable || !(seen >> (it - of->fields) & 1) || said >> (it - of->fields) & 1) return 0;
        said |= (uint64_t)1 << (it - of->fields);
        int64_t n_bytes = 0, *to = columns + (it - of->fields) * stride;
        uint8_t *is_given = given + it->given_at * stride;
        const uint8_t *bits = bytes(&from, &n_bytes);
        if (from.broken || n_bytes != (n + 7) / 8) return 0;
        for (int64_t k = 0; k < n; k++) {
            is_given[k] = bits[k / 8] >> k % 8 & 1;
            if (!is_given[k]) to[k] = 0;
        }
    }
    if (from.broken || from.at != from.end) return 0;
    for (int64_t k = 0; k < of->n_fields; k++) {
        const field *it = of->fields + k;
        int64_t *to = columns + k * stride;
        uint8_t *is_given = it->nullable ? given + it->given_at * stride : NULL;
        if (!(seen >> k & 1)) {
            if (of->required >> k & 1) return 0;
            for (int64_t i = 0; i < n; i++) to[i] = it->otherwise;
            if (is_given) memset(is_given, it->otherwise_given != 0, (size_t)n);
            continue;
        }
        if (is_given && !(said >> k & 1)) memset(is_given, 1, (size_t)n);
        if (!in_bounds(it, to, is_given, n)) return 0;
    }
    return 1;
}

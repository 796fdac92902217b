/* Records of columns: row by row a key and a value, as texts, one behind the other. Results are made so. */
#include <string.h>

#include "hot.h"

/* What a part of a row is, besides the bytes before it. An END has none: it ends a key or a value. */
enum { INTEGER, FLOAT, BOOLEAN, NULLABLE, TEXT, END };

struct part {
    const uint8_t *before; /* What comes before it. */
    int64_t before_size, kind;
    const void *column;     /* Numbers; of a text, which one. */
    const uint8_t *texts;   /* All texts, one behind the other. */
    const int64_t *text_at; /* Where each text begins, and the last one ends. */
};

/* Short bytes are copied with what is behind them, which takes no loop. */
enum { CHUNK = 32 };

static uint8_t *put(uint8_t *to, const void *bytes, int64_t size) {
    memcpy(to, bytes, (size_t)size);
    return to + size;
}

static const char PAIRS[201] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                               "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
                               "99";

/* Eight digits, with leading zeros. */
static void put_eight(uint8_t *to, uint32_t number) {
    uint32_t high = number / 10000, low = number % 10000;
    memcpy(to, PAIRS + 2 * (high / 100), 2);
    memcpy(to + 2, PAIRS + 2 * (high % 100), 2);
    memcpy(to + 4, PAIRS + 2 * (low / 100), 2);
    memcpy(to + 6, PAIRS + 2 * (low % 100), 2);
}

/* Up to eight digits, without leading zeros. */
static uint8_t *put_few(uint8_t *to, uint32_t number) {
    if (number < 10) {
        *to = (uint8_t)('0' + number);
        return to + 1;
    }
    uint8_t digits[16];
    put_eight(digits, number);
    int64_t first = number < 10000 ? number < 100 ? 6 : number < 1000 ? 5 : 4
                    : number < 1000000 ? number < 100000 ? 3 : 2
                    : number < 10000000 ? 1 : 0;
    memcpy(to, digits + first, 8); /* Reads and writes beyond what is meant: both have room. */
    return to + 8 - first;
}

static uint8_t *put_unsigned(uint8_t *to, uint64_t number) {
    enum { EIGHT = 100000000 };
    if (number < EIGHT) return put_few(to, (uint32_t)number);
    uint64_t high = number / EIGHT;
    to = high < EIGHT ? put_few(to, (uint32_t)high) : put_few(to, (uint32_t)(high / EIGHT));
    if (high >= EIGHT) {
        put_eight(to, (uint32_t)(high % EIGHT));
        to += 8;
    }
    put_eight(to, (uint32_t)(number % EIGHT));
    return to + 8;
}

static uint8_t *put_integer(uint8_t *to, int64_t number) {
    if (number >= 0) return put_unsigned(to, (uint64_t)number);
    *to = '-';
    return put_unsigned(to + 1, 0 - (uint64_t)number);
}

/* As msgspec writes it: plain from 1e-5 to 1e16, and otherwise with an exponent; null for what isn't a number. */
static uint8_t *put_float(uint8_t *to, double number) {
    uint64_t bits;
    memcpy(&bits, &number, 8);
    if ((bits >> 52 & 0x7FF) == 0x7FF) return put(to, "null", 4);
    if (bits >> 63) {
        *to++ = '-';
        number = -number;
    }
    if (number == 0) return put(to, "0.0", 3);
    uint64_t value;
    int32_t exponent;
    shortest_decimal(number, &value, &exponent);
    for (; value % 10 == 0; value /= 10) exponent++;
    uint8_t digits[32];
    int32_t size = (int32_t)(put_unsigned(digits, value) - digits), point = size + exponent;
    if (point > 16 || point < -4) {
        *to++ = digits[0];
        if (size > 1) {
            *to++ = '.';
            to = put(to, digits + 1, size - 1);
        }
        *to++ = 'e';
        return put_integer(to, point - 1);
    }
    if (point <= 0) {
        to = put(to, "0.0000", 2 - point);
        return put(to, digits, size);
    }
    if (size <= point) {
        to = put(to, digits, size);
        to = put(to, "0000000000000000", point - size);
        return put(to, ".0", 2);
    }
    to = put(to, digits, point);
    *to++ = '.';
    return put(to, digits + point, size - point);
}

/* Write n rows from `first` on. Where each key and value begins comes to `at`, and where the last one ends: shape (2 n + 1,).

   `to` has room: for each row the bytes before all parts, 25 bytes for each number, and the longest of the texts. */
void tt_write_rows(const part *parts, int64_t n_parts, int64_t first, int64_t n, uint8_t *to, int64_t *at) {
    const uint8_t *begin = to;
    *at++ = 0;
    for (int64_t i = first; i < first + n; i++) {
        for (int64_t k = 0; k < n_parts; k++) {
            const part *it = parts + k;
            if (it->before_size <= CHUNK) {
                memcpy(to, it->before, CHUNK);
                to += it->before_size;
            } else {
                to = put(to, it->before, it->before_size);
            }
            switch (it->kind) {
            case TEXT: {
                const int64_t *text_at = it->text_at + ((const int64_t *)it->column)[i];
                to = put(to, it->texts + text_at[0], text_at[1] - text_at[0]);
                break;
            }
            case END: *at++ = to - begin; break;
            case FLOAT: to = put_float(to, ((const double *)it->column)[i]); break;
            case BOOLEAN: to = ((const uint8_t *)it->column)[i] ? put(to, "true", 4) : put(to, "false", 5); break;
            default: {
                int64_t number = ((const int64_t *)it->column)[i];
                to = it->kind == NULLABLE && number < 0 ? put(to, "null", 4) : put_integer(to, number);
            }
            }
        }
    }
}

/* Decimals as doubles, rounded to nearest even.

   The algorithm is by Eisel and Lemire: D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and
   Experience 51(8), 2021, section 5. It needs 64-bit integers only, so results don't depend on the processor. */
#include "hot.h"

enum { LEAST = -342, GREATEST = 308 };
enum { MANTISSA_BITS = 52, BIAS = 1023, INFINITE = 0x7FF };

/* The first 128 bits of 5^exponent, high half first. Python computes them: see decimals.py. */
static uint64_t powers[GREATEST - LEAST + 1][2];

void tt_set_powers(const uint64_t *from) {
    for (int i = 0; i <= GREATEST - LEAST; i++) {
        powers[i][0] = from[2 * i];
        powers[i][1] = from[2 * i + 1];
    }
}

const double exact_tens[MOST_PLACES + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

int decimal_nearest(uint64_t digits, int64_t exponent, double *nearest) {
    if (digits == 0 || exponent < LEAST || exponent > GREATEST) return 0;
    if (digits >> 53 == 0 && exponent >= -MOST_PLACES && exponent <= MOST_PLACES) {
        *nearest = exponent < 0 ? (double)digits / exact_tens[-exponent] : (double)digits * exact_tens[exponent];
        return 1;
    }
    const uint64_t *power = powers[exponent - LEAST];
    int zeros = __builtin_clzll(digits);
    uint64_t whole = digits << zeros;
    wide product = (wide)whole * power[0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if ((high & 0x1FF) == 0x1FF) {
        /* The bits that rounding needs may still change by a carry. */
        uint64_t carried = (uint64_t)((wide)whole * power[1] >> 64);
        low += carried;
        if (low < carried) high++;
        if (low == UINT64_MAX && (exponent < -27 || exponent > 55)) return 0;
    }
    int top = (int)(high >> 63);
    int shift = top + 64 - MANTISSA_BITS - 3;
    uint64_t mantissa = high >> shift;
    int64_t binary = (((152170 + 65536) * exponent) >> 16) + 63 + top - zeros + BIAS;
    if (binary <= 0) return 0;
    if (low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && mantissa << shift == high)
        mantissa &= ~(uint64_t)1; /* Exactly half way: to the even one. */
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >> (MANTISSA_BITS + 1)) {
        mantissa >>= 1;
        binary++;
    }
    if (binary >= INFINITE) return 0;
    union {
        uint64_t bits;
        double number;
    } found = {(mantissa & (((uint64_t)1 << MANTISSA_BITS) - 1)) | (uint64_t)binary << MANTISSA_BITS};
    *nearest = found.number;
    return 1;
}

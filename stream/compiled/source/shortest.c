/* The shortest decimal that is read as a double again, as the digits and an exponent.

   The algorithm is Schubfach: R. Giulietti, "The Schubfach way to render doubles", 2020. */
#include <string.h>

#include "hot.h"

enum { LEAST = -292, GREATEST = 324 };

/* The first 128 bits of each power of ten, plus one, in two halves. Python computes them. */
static uint64_t tens[GREATEST - LEAST + 1][2];

void tt_set_tens(const uint64_t *from) { memcpy(tens, from, sizeof tens); }

/* Exact floors of logarithms, for every exponent of a double. */
static int32_t log2_of_ten_to(int32_t exponent) { return (exponent * 1741647) >> 19; }
static int32_t log10_of_two_to(int32_t exponent) { return (exponent * 1262611) >> 22; }
static int32_t log10_of_three_quarters(int32_t exponent) { return (exponent * 1262611 - 524031) >> 22; }

/* factor * power / 2^127, with the last bit set if anything is cut off. */
static uint64_t scaled(const uint64_t *power, uint64_t factor) {
    wide low = (wide)power[1] * factor;
    wide high = (wide)power[0] * factor + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

void shortest_decimal(double number, uint64_t *digits, int32_t *exponent) {
    uint64_t bits;
    memcpy(&bits, &number, 8);
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1), whole = fraction;
    int32_t biased = (int32_t)(bits >> 52 & 0x7FF), binary = -1074;
    if (biased) {
        whole |= (uint64_t)1 << 52;
        binary = biased - 1075;
        if (binary <= 0 && binary > -53 && !(whole & (((uint64_t)1 << -binary) - 1))) {
            *digits = whole >> -binary; /* An integer. */
            *exponent = 0;
            return;
        }
    }
    /* Below a power of two the next double is only half as far away. */
    int odd = whole & 1, near = !fraction && biased > 1;
    int32_t decimal = near ? log10_of_three_quarters(binary) : log10_of_two_to(binary);
    int32_t shift = binary + log2_of_ten_to(-decimal) + 1;
    const uint64_t *power = tens[-decimal - LEAST];
    uint64_t lower = scaled(power, (4 * whole - 2 + (uint64_t)near) << shift) + (uint64_t)odd;
    uint64_t upper = scaled(power, (4 * whole + 2) << shift) - (uint64_t)odd;
    uint64_t exact = scaled(power, 4 * whole << shift), floor = exact / 4;
    if (floor >= 10) {
        uint64_t shorter = floor / 10;
        int down_fits = lower <= 40 * shorter, up_fits = 40 * shorter + 40 <= upper;
        if (down_fits != up_fits) {
            *digits = shorter + (uint64_t)up_fits;
            *exponent = decimal + 1;
            return;
        }
    }
    int down_fits = lower <= 4 * floor, up_fits = 4 * floor + 4 <= upper;
    uint64_t middle = 4 * floor + 2;
    int up = down_fits != up_fits ? up_fits : exact > middle || (exact == middle && floor & 1);
    *digits = floor + (uint64_t)up;
    *exponent = decimal;
}

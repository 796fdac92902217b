/* The compiled hot path: what its files share. Python calls the functions whose names begin with tt_, through ctypes. */
#ifndef TICKERTAPE_HOT_H
#define TICKERTAPE_HOT_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words of eight bytes are read as a processor does that puts the lowest byte first"
#endif

__extension__ typedef unsigned __int128 wide;
typedef struct names names;

/* The code of a name, or -1. May read 7 bytes past its end. */
int64_t names_find(const names *known, const uint8_t *name, int64_t size);

/* The double nearest to digits * 10^exponent. Returns 0 where it isn't sure, and for zero, subnormal and infinite ones. */
int decimal_nearest(uint64_t digits, int64_t exponent, double *nearest);

#endif

/* The records of a record batch, as Kafka's protocol has them since 0.11, from keys and values that lie in a buffer. */
#include <string.h>

#include "hot.h"

static int64_t zigzag_size(int64_t number) {
    uint64_t left = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
    int64_t size = 1;
    for (; left > 127; left >>= 7) size++;
    return size;
}

static uint8_t *put_zigzag(uint8_t *to, int64_t number) {
    uint64_t left = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
    for (; left > 127; left >>= 7) *to++ = (uint8_t)(left | 128);
    *to++ = (uint8_t)left;
    return to;
}

/* Write as many of n records as fit into `room` bytes, and return how many; how many bytes they have comes to `written`.

   The first one's place in the batch is `offset`, and all of them are `delta_ms` later than the batch's first record.
   They have no headers. */
int64_t tt_frame(const uint8_t *bytes, const int64_t *key_at, const int64_t *key_size, const int64_t *value_at,
                 const int64_t *value_size, int64_t n, int64_t offset, int64_t delta_ms, uint8_t *to, int64_t room,
                 int64_t *written) {
    uint8_t *begin = to;
    int64_t i = 0, delta_size = zigzag_size(delta_ms);
    for (; i < n; i++) {
        int64_t size = 2 + delta_size + zigzag_size(offset + i) + zigzag_size(key_size[i]) + key_size[i] +
                       zigzag_size(value_size[i]) + value_size[i];
        if (zigzag_size(size) + size > room - (to - begin)) break;
        to = put_zigzag(to, size);
        *to++ = 0; /* Attributes. */
        to = put_zigzag(to, delta_ms);
        to = put_zigzag(to, offset + i);
        to = put_zigzag(to, key_size[i]);
        memcpy(to, bytes + key_at[i], (size_t)key_size[i]);
        to = put_zigzag(to + key_size[i], value_size[i]);
        memcpy(to, bytes + value_at[i], (size_t)value_size[i]);
        to = put_zigzag(to + value_size[i], 0);
    }
    *written = to - begin;
    return i;
}

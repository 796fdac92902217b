/* The records of a Kafka record batch: where each value is, its offset, its time, where its headers are, and whether one
   of these has a key that is looked for.

   The layout is that of Kafka's protocol guide, "Record Batch", from magic 2 on. */
#include <string.h>

#include "hot.h"

typedef struct {
    const uint8_t *at, *end;
    int broken;
} reader;

/* A zigzag number in groups of seven bits. */
static int64_t number(reader *from) {
    uint64_t read = 0;
    for (int shift = 0; shift < 63; shift += 7) {
        if (from->at >= from->end) break;
        uint8_t byte = *from->at++;
        read |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return (int64_t)(read >> 1) ^ -(int64_t)(read & 1);
    }
    from->broken = 1;
    return 0;
}

/* Bytes behind their length, -1 for null. */
static int64_t skip(reader *from) {
    int64_t size = number(from);
    if (size < -1 || size > from->end - from->at) from->broken = 1;
    if (from->broken) return -1;
    if (size > 0) from->at += size;
    return size;
}

/* Whether a header has this key. */
static int skip_headers(reader *from, const uint8_t *key, int64_t key_size) {
    int found = 0;
    int64_t count = number(from);
    if (count < 0) from->broken = 1;
    for (int64_t i = 0; i < count && !from->broken; i++) {
        int64_t size = skip(from);
        if (size < 0) from->broken = 1;
        if (size == key_size && !memcmp(from->at - size, key, (size_t)size)) found = 1;
        skip(from);
    }
    return found;
}

/* Split the records that begin at `first` and end at `last`.

   Offsets rise, from base_offset on by less than `span`. first_ms and last_ms are the batch's; appended is whether its
   times are append times, all of them last_ms.
   Each column has room for `count` numbers: value_at and headers_at count from `bytes`; value_size is -1 for null.
   marked says which records have a header with this key.
   Returns 1, or 0 where anything isn't as the protocol says: what the columns hold then means nothing. */
int64_t tt_split(const uint8_t *bytes, int64_t first, int64_t last, int64_t count, int64_t base_offset,
                 int64_t span, int64_t first_ms, int64_t last_ms, int64_t appended, int64_t *value_at, int64_t *value_size,
                 int64_t *offset, int64_t *time_ms, int64_t *headers_at, const uint8_t *key, int64_t key_size,
                 uint8_t *marked) {
    reader batch = {bytes + first, bytes + last, 0};
    int64_t least = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t size = number(&batch);
        if (batch.broken || size < 1 || size > batch.end - batch.at || *batch.at > 127) return 0;
        reader record = {batch.at + 1, batch.at + size, 0}; /* Behind the attributes, which mean nothing yet. */
        int64_t later_ms = number(&record);
        int64_t further = number(&record);
        skip(&record);
        value_size[i] = skip(&record);
        value_at[i] = record.at - bytes - (value_size[i] > 0 ? value_size[i] : 0);
        headers_at[i] = record.at - bytes;
        marked[i] = (uint8_t)skip_headers(&record, key, key_size);
        if (record.broken || record.at != record.end || further < least || further >= span) return 0;
        least = further + 1;
        if (__builtin_add_overflow(base_offset, further, offset + i)) return 0;
        if (appended)
            time_ms[i] = last_ms;
        else if (__builtin_add_overflow(first_ms, later_ms, time_ms + i))
            return 0;
        batch.at = record.end;
    }
    return batch.at == batch.end;
}

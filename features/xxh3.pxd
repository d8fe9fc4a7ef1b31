# https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, "XXH3 Algorithm (64-bit)", with a seed of 0.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from features.utf8 cimport is_ascii, length_of, letters_of


cdef extern from *:
    """
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "XXH3 is little-endian"
    #endif
    static const uint64_t XXH3_SECRET[] = {
        0xbe4ba423396cfeb8, 0x1cad21f72c81017c, 0xdb979083e96dd4de, 0x1f67b3b7a4a44072,
        0x78e5c0cc4ee679cb, 0x2172ffcc7dd05a82, 0x8e2443f7744608b8, 0x4c263a81e69035e0,
        0xcb00c391bb52283c, 0xa32e531b8b65d088, 0x4ef90da297486471, 0xd8acdea946ef1938,
        0x3f349ce33f76faa8, 0x1d4f0bc7c7bbdcf9, 0x3159b4cd4be0518a, 0x647378d9c97e9fc8};
    #define XXH3_SWAP __builtin_bswap64
    """
    ctypedef unsigned long long uint128_t "unsigned __int128"
    uint64_t[16] SECRET "XXH3_SECRET"
    uint64_t swapped "XXH3_SWAP" (uint64_t number)
    const uint64_t PRIME64_1 "0x9E3779B185EBCA87ULL"
    const uint64_t PRIME_MX1 "0x165667919E3779F9ULL"
    const uint64_t PRIME_MX2 "0x9FB21C651E98DF25ULL"


cdef inline uint64_t read64(const unsigned char *data) noexcept:
    cdef uint64_t number
    memcpy(&number, data, 8)
    return number


cdef inline uint64_t read32(const unsigned char *data) noexcept:
    cdef uint32_t number
    memcpy(&number, data, 4)
    return number


cdef inline uint64_t rotated(uint64_t number, int bits) noexcept:
    return number << bits | number >> (64 - bits)


cdef inline uint64_t folded(uint64_t left, uint64_t right) noexcept:
    cdef uint128_t product = <uint128_t>left * right
    return <uint64_t>product ^ <uint64_t>(product >> 64)


# `word`, as all of the secret here, counts words of 8 bytes, where the specification counts bytes.
cdef inline uint64_t mixed(const unsigned char *data, int word) noexcept:
    return folded(read64(data) ^ SECRET[word], read64(data + 8) ^ SECRET[word + 1])


cdef inline uint64_t avalanche(uint64_t number) noexcept:
    number = (number ^ number >> 37) * PRIME_MX1
    return number ^ number >> 32


cdef inline uint64_t of_4_to_8(const unsigned char *data, uint64_t length) noexcept:
    cdef uint64_t number = (read32(data + length - 4) + (read32(data) << 32)) ^ SECRET[1] ^ SECRET[2]
    number = (number ^ rotated(number, 49) ^ rotated(number, 24)) * PRIME_MX2
    number = (number ^ (number >> 35) + length) * PRIME_MX2
    return number ^ number >> 28


cdef inline uint64_t of_9_to_16(const unsigned char *data, uint64_t length) noexcept:
    cdef uint64_t low = read64(data) ^ SECRET[3] ^ SECRET[4]
    cdef uint64_t high = read64(data + length - 8) ^ SECRET[5] ^ SECRET[6]
    return avalanche(length + swapped(low) + high + folded(low, high))


cdef inline uint64_t of_17_to_128(const unsigned char *data, uint64_t length) noexcept:
    cdef const unsigned char *end = data + length
    cdef uint64_t number = length * PRIME64_1 + mixed(data, 0) + mixed(end - 16, 2)
    if length > 32:
        number += mixed(data + 16, 4) + mixed(end - 32, 6)
    if length > 64:
        number += mixed(data + 32, 8) + mixed(end - 48, 10)
    if length > 96:
        number += mixed(data + 48, 12) + mixed(end - 64, 14)
    return avalanche(number)


cdef enum:
    HIGH = 0x80  # no ASCII letter has this bit
    TO_A = HIGH - 0x41  # added to A or a letter beyond it, it sets that bit
    BEYOND_Z = HIGH - 0x5B  # to a letter beyond Z


cdef extern from *:
    """
    #define EIGHT_TIMES(byte) ((byte) * 0x0101010101010101ULL)
    """
    uint64_t eight_times "EIGHT_TIMES" (int byte)


cdef inline void lower(unsigned char *there, const unsigned char *letters, Py_ssize_t length) noexcept:
    cdef Py_ssize_t place = 0
    cdef uint64_t eight, capitals
    while place + 8 <= length:
        memcpy(&eight, letters + place, 8)
        capitals = (eight + eight_times(TO_A)) & ~(eight + eight_times(BEYOND_Z)) & eight_times(HIGH)
        eight += capitals >> 2  # 128 to 32
        memcpy(there + place, &eight, 8)
        place += 8
    for place in range(place, length):
        there[place] = letters[place] + 32 * (b"A" <= letters[place] <= b"Z")


cdef inline uint64_t of_data(const unsigned char *data, uint64_t length) except? 0:
    if 16 < length <= 128:
        return of_17_to_128(data, length)
    if 8 < length <= 16:
        return of_9_to_16(data, length)
    if 4 <= length <= 8:
        return of_4_to_8(data, length)
    import xxhash
    return xxhash.xxh3_64_intdigest(data[:length])


cdef inline uint64_t of_bytes(bytes data) except? 0:
    return of_data(<const unsigned char *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef inline uint64_t of_text(str text) except? 0:
    if is_ascii(text):
        return of_data(letters_of(text), length_of(text))
    return of_bytes(text.encode())


cdef inline uint64_t of_lowered(str text) except? 0:
    cdef unsigned char[128] lowered
    if text is None or not is_ascii(text) or length_of(text) > sizeof(lowered):
        return of_bytes(text.lower().encode())
    lower(lowered, letters_of(text), length_of(text))
    return of_data(lowered, length_of(text))

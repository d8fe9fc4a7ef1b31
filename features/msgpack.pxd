from cpython.array cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from features cimport int64s
from schemas.buffers cimport big_endian, end_at, room


cdef enum:
    MOST = 9  # bytes of a number, and of what a longer value begins with


cdef extern from *:
    """
    static inline uint64_t bits_of(double number) { uint64_t bits; memcpy(&bits, &number, 8); return bits; }
    """
    uint64_t bits_of(double number) noexcept


cdef inline unsigned char *tagged(unsigned char *there, unsigned char tag, uint64_t bits, Py_ssize_t size) noexcept:
    there[0] = tag
    return big_endian(there + 1, bits, size)


cdef inline unsigned char *write_int(unsigned char *there, long long number) noexcept:
    if -32 <= number < 128:
        there[0] = <unsigned char>number
        return there + 1
    if number >= 0:
        if number < 1 << 8:
            return tagged(there, 0xCC, number, 1)
        if number < 1 << 16:
            return tagged(there, 0xCD, number, 2)
        if number < <long long>1 << 32:
            return tagged(there, 0xCE, number, 4)
        return tagged(there, 0xCF, number, 8)
    if number >= -(1 << 7):
        return tagged(there, 0xD0, number, 1)
    if number >= -(1 << 15):
        return tagged(there, 0xD1, number, 2)
    if number >= -(<long long>1 << 31):
        return tagged(there, 0xD2, number, 4)
    return tagged(there, 0xD3, number, 8)


cdef inline unsigned char *write_head(
    unsigned char *there, Py_ssize_t count, unsigned char short_tag, unsigned char long_tag
) noexcept:
    if count < 16:
        there[0] = short_tag | <unsigned char>count
        return there + 1
    if count < 1 << 16:
        return tagged(there, long_tag, count, 2)
    return tagged(there, long_tag + 1, count, 4)


cdef inline int put_array(bytearray out, Py_ssize_t count) except -1:
    end_at(out, write_head(room(out, MOST), count, 0x90, 0xDC))
    return 0


cdef inline int put_map(bytearray out, Py_ssize_t count) except -1:
    end_at(out, write_head(room(out, MOST), count, 0x80, 0xDE))
    return 0


cdef inline int put_nil(bytearray out) except -1:
    end_at(out, tagged(room(out, MOST), 0xC0, 0, 0))
    return 0


cdef inline int put_flag(bytearray out, bint flag) except -1:
    end_at(out, tagged(room(out, MOST), 0xC3 if flag else 0xC2, 0, 0))
    return 0


cdef inline int put_int(bytearray out, long long number) except -1:
    end_at(out, write_int(room(out, MOST), number))
    return 0


cdef inline int put_float(bytearray out, double number) except -1:
    end_at(out, tagged(room(out, MOST), 0xCB, bits_of(number), 8))
    return 0


cdef inline int put_text(bytearray out, str text) except -1:
    cdef Py_ssize_t size
    cdef const char *letters = PyUnicode_AsUTF8AndSize(text, &size)
    cdef unsigned char *there = room(out, MOST + size)
    if size < 32:
        there = tagged(there, 0xA0 | <unsigned char>size, 0, 0)
    elif size < 1 << 8:
        there = tagged(there, 0xD9, size, 1)
    elif size < 1 << 16:
        there = tagged(there, 0xDA, size, 2)
    else:
        there = tagged(there, 0xDB, size, 4)
    memcpy(there, letters, size)
    end_at(out, there + size)
    return 0


cdef inline int put_blob(bytearray out, bytes blob) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(blob)
    cdef unsigned char *there = room(out, MOST + size)
    if size < 1 << 8:
        there = tagged(there, 0xC4, size, 1)
    elif size < 1 << 16:
        there = tagged(there, 0xC5, size, 2)
    else:
        there = tagged(there, 0xC6, size, 4)
    memcpy(there, PyBytes_AS_STRING(blob), size)
    end_at(out, there + size)
    return 0


cdef inline int put_column(bytearray out, array numbers, Py_ssize_t first, Py_ssize_t step) except -1:
    return put_numbers(out, numbers, first, step, 0, 1)


cdef inline int put_distances(bytearray out, array numbers, Py_ssize_t first, Py_ssize_t step, long long base) except -1:
    return put_numbers(out, numbers, first, step, base, -1)


cdef inline int put_numbers(
    bytearray out, array numbers, Py_ssize_t first, Py_ssize_t step, long long base, long long sign
) except -1:
    cdef Py_ssize_t place, count = int64s.count_from(numbers, first, step)
    cdef unsigned char *there = write_head(room(out, MOST * (1 + count)), count, 0x90, 0xDC)
    for place in range(count):
        there = write_int(there, base + sign * numbers.data.as_longlongs[first + place * step])
    end_at(out, there)
    return 0


cdef inline uint64_t unsigned_at(const unsigned char *there, Py_ssize_t size) noexcept:
    cdef uint64_t number = 0
    cdef Py_ssize_t place
    for place in range(size):
        number = number << 8 | there[place]
    return number


# How many bytes follow the first one of a number; -1 if it is none.
cdef inline Py_ssize_t bytes_after(unsigned char tag) noexcept:
    if tag < 0x80 or tag >= 0xE0:
        return 0
    if 0xCC <= tag <= 0xCF:
        return 1 << (tag - 0xCC)
    if 0xD0 <= tag <= 0xD3:
        return 1 << (tag - 0xD0)
    return -1


cdef inline array numbers_of(bytes packed):
    cdef const unsigned char *there = <const unsigned char *>PyBytes_AS_STRING(packed)
    cdef const unsigned char *end = there + PyBytes_GET_SIZE(packed)
    cdef Py_ssize_t place, size, count = -1
    cdef unsigned char tag
    cdef uint64_t bits
    cdef array numbers
    if there < end and 0x90 <= there[0] < 0xA0:
        count = there[0] & 0x0F
        there += 1
    elif end - there >= 3 and there[0] == 0xDC:
        count = unsigned_at(there + 1, 2)
        there += 3
    elif end - there >= 5 and there[0] == 0xDD:
        count = unsigned_at(there + 1, 4)
        there += 5
    if not 0 <= count <= end - there:  # each takes a byte at least
        raise ValueError("not an array of numbers")
    numbers = int64s.zeros(count)
    for place in range(count):
        if there == end:
            raise ValueError("an array of numbers ends early")
        tag = there[0]
        size = bytes_after(tag)
        there += 1
        if not 0 <= size <= end - there:
            raise ValueError("not an array of numbers")
        bits = unsigned_at(there, size)
        there += size
        if size == 0:
            bits = tag if tag < 0x80 else <uint64_t>(<long long>tag - 0x100)
        elif tag == 0xCF and bits >> 63:
            raise OverflowError(f"{bits} has no place in 64 bits")
        elif tag >= 0xD0:  # of fewer bytes with their sign
            bits = <uint64_t>(<long long>(bits << (64 - 8 * size)) >> (64 - 8 * size))
        numbers.data.as_longlongs[place] = <long long>bits
    if there != end:
        raise ValueError("an array of numbers with more behind it")
    return numbers

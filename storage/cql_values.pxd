from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy

from schemas.buffers cimport big_endian, end_at, room


cdef enum:
    MOST_KEY_BYTES = 0xFFFF


cdef inline int put_int(bytearray out, long long number) except -1:
    if number != <int>number:
        raise OverflowError(f"{number} is no number of 32 bits")
    end_at(out, big_endian(big_endian(room(out, 8), 4, 4), number, 4))
    return 0


cdef inline int put_bigint(bytearray out, long long number) except -1:
    end_at(out, big_endian(big_endian(room(out, 12), 8, 4), number, 8))
    return 0


cdef inline int put_text(bytearray out, str text) except -1:
    cdef Py_ssize_t size
    cdef const char *letters = PyUnicode_AsUTF8AndSize(text, &size)
    return put_bytes(out, letters, size)


cdef inline int put_blob(bytearray out, bytes blob) except -1:
    if blob is None:
        end_at(out, big_endian(room(out, 4), -1, 4))
        return 0
    return put_bytes(out, PyBytes_AS_STRING(blob), PyBytes_GET_SIZE(blob))


cdef inline int put_bytes(bytearray out, const char *content, Py_ssize_t size) except -1:
    cdef unsigned char *there = big_endian(room(out, 4 + size), size, 4)
    memcpy(there, content, size)
    end_at(out, there + size)
    return 0


cdef inline int put_key_text(bytearray out, str text) except -1:
    cdef Py_ssize_t size
    cdef const char *letters = PyUnicode_AsUTF8AndSize(text, &size)
    if size > MOST_KEY_BYTES:
        raise ValueError(f"a key of {size} bytes, where {MOST_KEY_BYTES} have room")
    cdef unsigned char *there = big_endian(room(out, 3 + size), size, 2)
    memcpy(there, letters, size)
    end_at(out, big_endian(there + size, 0, 1))
    return 0


cdef inline int put_key_int(bytearray out, long long number) except -1:
    end_at(out, big_endian(big_endian(big_endian(room(out, 7), 4, 2), number, 4), 0, 1))
    return 0

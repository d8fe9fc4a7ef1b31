from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from schemas.buffers cimport end_at, room


cdef inline int put_record(bytearray buffer, Py_ssize_t offset_delta, bytes key, bytes value, bytes headers) except -1:
    cdef Py_ssize_t size = 2 + varint_size(offset_delta) + field_size(key) + field_size(value) + PyBytes_GET_SIZE(headers)
    cdef unsigned char *there = room(buffer, varint_size(size) + size)
    there = put_varint(there, size)
    there[0] = there[1] = 0
    there = put_varint(there + 2, offset_delta)
    there = put_field(put_field(there, key), value)
    memcpy(there, PyBytes_AS_STRING(headers), PyBytes_GET_SIZE(headers))
    end_at(buffer, there + PyBytes_GET_SIZE(headers))
    return 0


cdef inline Py_ssize_t varint_size(Py_ssize_t number) noexcept:
    cdef Py_ssize_t size = 1
    while number > 63:
        number >>= 7
        size += 1
    return size


# Of a number that is not negative.
cdef inline unsigned char *put_varint(unsigned char *there, Py_ssize_t number) noexcept:
    number *= 2
    while number > 127:
        there[0] = number & 127 | 128
        number >>= 7
        there += 1
    there[0] = number
    return there + 1


cdef inline Py_ssize_t field_size(bytes content) noexcept:
    if content is None:
        return 1
    return varint_size(PyBytes_GET_SIZE(content)) + PyBytes_GET_SIZE(content)


cdef inline unsigned char *put_field(unsigned char *there, bytes content) noexcept:
    if content is None:
        there[0] = 1
        return there + 1
    there = put_varint(there, PyBytes_GET_SIZE(content))
    memcpy(there, PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))
    return there + PyBytes_GET_SIZE(content)

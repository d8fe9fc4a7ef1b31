from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr


cdef inline list split(bytes lines):
    cdef list parts = []
    cdef const char *begin = PyBytes_AS_STRING(lines)
    cdef const char *end = begin + PyBytes_GET_SIZE(lines)
    cdef const char *feed = <const char *>memchr(begin, b"\n", end - begin)
    while feed is not NULL:
        parts.append(PyBytes_FromStringAndSize(begin, feed - begin))
        begin = feed + 1
        feed = <const char *>memchr(begin, b"\n", end - begin)
    parts.append(PyBytes_FromStringAndSize(begin, end - begin))
    return parts

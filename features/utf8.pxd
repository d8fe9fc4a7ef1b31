from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy


cdef extern from "Python.h":
    bint is_ascii "PyUnicode_IS_COMPACT_ASCII" (str text)
    unsigned char *letters_of "PyUnicode_1BYTE_DATA" (str text)
    Py_ssize_t length_of "PyUnicode_GET_LENGTH" (str text)


cdef inline unsigned char *put_text(unsigned char *there, str text) noexcept:
    cdef Py_ssize_t length = length_of(text)
    memcpy(there, letters_of(text), length)
    return there + length


cdef inline unsigned char *put_line(unsigned char *there, str text) noexcept:
    there = put_text(there, text)
    there[0] = b"\n"
    return there + 1


cdef inline bytes lines(str first, str second, str third, str fourth, str fifth):
    if not (is_ascii(first) and is_ascii(second) and is_ascii(third) and is_ascii(fourth) and is_ascii(fifth)):
        return f"{first}\n{second}\n{third}\n{fourth}\n{fifth}".encode()
    cdef Py_ssize_t length = 4 + length_of(first) + length_of(second) + length_of(third) + length_of(fourth)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, length + length_of(fifth))
    cdef unsigned char *there = <unsigned char *>PyBytes_AS_STRING(data)
    there = put_line(put_line(put_line(put_line(there, first), second), third), fourth)
    put_text(there, fifth)
    return data

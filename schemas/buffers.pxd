from cpython.bytearray cimport PyByteArray_FromStringAndSize, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t


cdef extern from *:
    """
    #define ALLOCATED_BYTES(buffer) (((PyByteArrayObject *)(buffer))->ob_alloc)
    #define START_OF_BYTES(buffer) ((unsigned char *)((PyByteArrayObject *)(buffer))->ob_start)
    """
    unsigned char *start_of "START_OF_BYTES" (bytearray buffer)
    Py_ssize_t allocated "ALLOCATED_BYTES" (bytearray buffer)


cdef extern from "Python.h":
    void set_size "Py_SET_SIZE" (bytearray buffer, Py_ssize_t size)


cdef enum:
    FIRST_ROOM = 256


cdef inline bytearray begun(bytes content):
    return PyByteArray_FromStringAndSize(PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))


cdef inline bytes taken(bytearray buffer):
    return PyBytes_FromStringAndSize(<char *>start_of(buffer), PyByteArray_GET_SIZE(buffer))


# Where so many bytes more have room, of which `end_at` says how many were written.
cdef inline unsigned char *room(bytearray buffer, Py_ssize_t by) except NULL:
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(buffer)
    if size + by >= allocated(buffer):
        PyByteArray_Resize(buffer, 2 * size + by + FIRST_ROOM)
        set_size(buffer, size)
    return start_of(buffer) + size


cdef inline unsigned char *big_endian(unsigned char *there, uint64_t bits, Py_ssize_t size) noexcept:
    cdef Py_ssize_t place
    for place in range(size):
        there[size - 1 - place] = <unsigned char>(bits >> 8 * place)
    return there + size


# A bytearray ends with a zero that does not count.
cdef inline void end_at(bytearray buffer, unsigned char *end) noexcept:
    end[0] = 0
    set_size(buffer, end - start_of(buffer))


cdef inline unsigned char byte_at(bytes content, Py_ssize_t place) noexcept:
    return <unsigned char>PyBytes_AS_STRING(content)[place]


cdef inline bytes cut(bytes content, Py_ssize_t place, Py_ssize_t size):
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(content) + place, size)

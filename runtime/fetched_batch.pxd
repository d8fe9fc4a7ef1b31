cimport cython
from libc.stdint cimport uint64_t

from schemas cimport buffers


cdef unsigned char _MORE
cdef unsigned char _SEVEN_BITS
cdef int _LAST_SHIFT


@cython.locals(own_times=cython.bint, time_ms=cython.longlong, reader=_Reader)
cpdef list records_of(bytes data, str topic, object partition)


cdef class _Reader:
    cdef bytes _content
    cdef Py_ssize_t _size
    cdef Py_ssize_t _place

    @cython.locals(size=cython.longlong, end=cython.Py_ssize_t, delta_ms=cython.longlong, offset=cython.longlong)
    cdef object read(self, str topic, object partition, long long first_offset, long long time_ms, bint own_times)

    cdef bint at_end(self) noexcept

    @cython.locals(count=cython.longlong, _=cython.longlong, name=bytes)
    cdef object _headers(self)

    @cython.locals(size=cython.longlong, begin=cython.Py_ssize_t)
    cdef bytes _bytes(self)

    @cython.locals(number=uint64_t, byte=uint64_t, shift=cython.int)
    cdef long long _varint(self) except? -1

cimport cython
from cpython.array cimport array as Int64s

from features cimport int64s, msgpack
from features.cells cimport Cells, Layer
from features.state cimport UserState


@cython.locals(layer=Layer, oldest=cython.longlong, numbers=Int64s)
cpdef put_cells(bytearray out, UserState state)


@cython.locals(layer=Layer, oldest=cython.longlong, packed=bytes, numbers=Int64s, width=cython.Py_ssize_t)
cpdef list unpack_cells(object layers, long long append_ms, Py_ssize_t measures)


@cython.locals(place=cython.Py_ssize_t, index=cython.longlong, moved=cython.longlong)
cdef _shift(Int64s numbers, Py_ssize_t width, long long by)

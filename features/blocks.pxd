from cpython.array cimport array, clone
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF


cdef extern from *:
    """
    static PyObject *empty_blocks[128];
    """
    PyObject *empty_blocks[128]


# A block of so many numbers, which are not set. Made like one of none that is kept, by its code: a call of `array` takes
# five times as long.
cdef inline array new(char code, Py_ssize_t count):
    cdef array empty
    if empty_blocks[code] == NULL:
        empty = array(chr(code))
        Py_INCREF(empty)
        empty_blocks[code] = <PyObject *>empty
    return clone(<array>empty_blocks[code], count, False)

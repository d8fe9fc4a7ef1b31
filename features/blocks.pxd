from cpython.array cimport array, clone
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF


# A block of so many numbers, which are not set. Made like `sample`, a block of none that is kept: a call of `array` takes
# five times as long.
cdef inline array new(PyObject **sample, str code, Py_ssize_t count):
    cdef array first
    if sample[0] == NULL:
        first = array(code)
        Py_INCREF(first)
        sample[0] = <PyObject *>first
    return clone(<array>sample[0], count, False)

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF


cdef extern from *:
    """
    #include <structmember.h>

    static Py_ssize_t offset_of_member(PyObject *member)
    {
        if (!PyObject_TypeCheck(member, &PyMemberDescr_Type)) {
            PyErr_Format(PyExc_TypeError, "%R is not a member of a class with slots", member);
            return -1;
        }
        return ((PyMemberDescrObject *)member)->d_member->offset;
    }
    """
    Py_ssize_t offset_of_member(object member) except -1


cdef inline Py_ssize_t place_of(object kind, str field) except -1:
    return offset_of_member(getattr(kind, field))


cdef inline PyObject **there(object struct, Py_ssize_t place) noexcept:
    return <PyObject **>(<char *><void *>struct + place)


cdef inline object at(object struct, Py_ssize_t place):
    return <object>there(struct, place)[0]


cdef inline void put(object struct, Py_ssize_t place, object value) noexcept:
    cdef PyObject *old = there(struct, place)[0]
    Py_INCREF(value)
    there(struct, place)[0] = <PyObject *>value
    Py_XDECREF(old)

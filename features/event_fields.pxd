from cpython.object cimport PyObject


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


cdef inline Py_ssize_t place_of(str field) except -1:
    from schemas.events import Event
    return offset_of_member(getattr(Event, field))


# Unchecked: the caller knows that it is an Event, which `Folder.fold` asks.
cdef inline object at(object event, Py_ssize_t place):
    return <object>(<PyObject **>(<char *><void *>event + place))[0]

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.datetime cimport (
    datetime,
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_second,
    datetime_year,
)
from libc.string cimport memcpy


cdef extern from "Python.h":
    bint is_ascii "PyUnicode_IS_COMPACT_ASCII" (object text)
    const unsigned char *letters_of "PyUnicode_1BYTE_DATA" (object text)
    Py_ssize_t length_of "PyUnicode_GET_LENGTH" (object text)


cdef enum:
    MOST_TEXT = 1024
    # Eight texts, and less than as much again for all keys and numbers.
    MOST_EVENT = 9 * MOST_TEXT
    MOST_DIGITS = 20


# Keys with what surrounds them are constants, so that copying them is a few instructions.
cdef inline unsigned char *put_constant(unsigned char *there, const char *constant, Py_ssize_t size) noexcept:
    memcpy(there, constant, size)
    return there + size


# NULL, which comes back as it is, and for a text that is not plain.
cdef inline unsigned char *put_text(unsigned char *there, str text) noexcept:
    if there is NULL or not is_ascii(text) or length_of(text) > MOST_TEXT:
        return NULL
    cdef Py_ssize_t place, length = length_of(text)
    cdef const unsigned char *letters = letters_of(text)
    cdef unsigned char escaped = 0
    for place in range(length):  # without a branch, so that C compilers take many letters at a time
        escaped |= (letters[place] < 0x20) | (letters[place] == 0x22) | (letters[place] == 0x5C)
        there[place] = letters[place]
    return NULL if escaped else there + length


cdef inline unsigned char *put_optional(unsigned char *there, const char *key, Py_ssize_t size, str text) noexcept:
    if there is NULL or text is None:
        return there
    there = put_text(put_constant(there, key, size), text)
    if there is NULL:
        return NULL
    return put_constant(there, b'"', 1)


cdef inline unsigned char *put_digits(unsigned char *there, long long number, Py_ssize_t count) noexcept:
    cdef Py_ssize_t place
    for place in range(count):
        there[count - 1 - place] = <unsigned char>(0x30 + number % 10)
        number //= 10
    return there + count


# Of a number that is not negative.
cdef inline unsigned char *put_number(unsigned char *there, long long number) noexcept:
    cdef unsigned char[MOST_DIGITS] digits
    cdef Py_ssize_t first = MOST_DIGITS
    while first == MOST_DIGITS or number:
        first -= 1
        digits[first] = <unsigned char>(0x30 + number % 10)
        number //= 10
    memcpy(there, digits + first, MOST_DIGITS - first)
    return there + MOST_DIGITS - first


cdef inline unsigned char *put_moment(unsigned char *there, datetime moment) noexcept:
    there = put_digits(there, datetime_year(moment), 4)
    there = put_digits(put_constant(there, b"-", 1), datetime_month(moment), 2)
    there = put_digits(put_constant(there, b"-", 1), datetime_day(moment), 2)
    there = put_digits(put_constant(there, b"T", 1), datetime_hour(moment), 2)
    there = put_digits(put_constant(there, b":", 1), datetime_minute(moment), 2)
    there = put_digits(put_constant(there, b":", 1), datetime_second(moment), 2)
    if datetime_microsecond(moment):
        there = put_digits(put_constant(there, b".", 1), datetime_microsecond(moment), 6)
    return put_constant(there, b"Z", 1)


cdef inline bytes of_event(
    str event_id,
    str event_type,
    str user_id,
    datetime occurred_at,
    str item_id,
    str category,
    str currency,
    str search_term,
    str list_id,
    object position,
    long long event_time_ms,
    long long received_at_ms,
):
    cdef unsigned char[MOST_EVENT] event
    cdef unsigned char *there = put_text(put_constant(event, b'{"eventId":"', 12), event_id)
    if there is NULL or event_time_ms < 0 or received_at_ms < 0:
        return None
    there = put_text(put_constant(there, b'","type":"', 10), event_type)
    if there is NULL:
        return None
    there = put_text(put_constant(there, b'","userId":"', 12), user_id)
    if there is NULL:
        return None
    there = put_moment(put_constant(there, b'","occurredAt":"', 16), occurred_at)
    there = put_constant(there, b'"', 1)
    there = put_optional(there, b',"itemId":"', 11, item_id)
    there = put_optional(there, b',"category":"', 13, category)
    there = put_optional(there, b',"currency":"', 13, currency)
    there = put_optional(there, b',"searchTerm":"', 15, search_term)
    there = put_optional(there, b',"listId":"', 11, list_id)
    if there is NULL:
        return None
    if position is not None:
        there = put_number(put_constant(there, b',"position":', 12), position)
    there = put_number(put_constant(there, b',"eventTime":', 13), event_time_ms)
    there = put_number(put_constant(there, b',"receivedAt":', 14), received_at_ms)
    there = put_constant(there, b"}", 1)
    return PyBytes_FromStringAndSize(<char *>event, there - event)

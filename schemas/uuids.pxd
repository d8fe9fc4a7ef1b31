from libc.string cimport memcpy


cdef extern from "Python.h":
    bint is_ascii "PyUnicode_IS_COMPACT_ASCII" (object text)
    const unsigned char *letters_of "PyUnicode_1BYTE_DATA" (object text)
    Py_ssize_t length_of "PyUnicode_GET_LENGTH" (object text)


cdef enum:
    LENGTH = 36
    DIGITS = 32
    ZERO = 0x30
    A = 0x61
    TO_LOWER = 0x20


# Without a branch in it, so that C compilers take many letters at a time.
cdef inline str lowered(str text):
    cdef const unsigned char *letters
    cdef unsigned char[DIGITS] digits
    cdef unsigned char digit, letter, unknown = 0, capitals = 0
    cdef int place
    if text is None or not is_ascii(text) or length_of(text) != LENGTH:
        return None
    letters = letters_of(text)
    memcpy(digits, letters, 8)
    memcpy(digits + 8, letters + 9, 4)
    memcpy(digits + 12, letters + 14, 4)
    memcpy(digits + 16, letters + 19, 4)
    memcpy(digits + 20, letters + 24, 12)
    for place in range(DIGITS):
        digit = <unsigned char>(digits[place] - ZERO) < 10
        letter = <unsigned char>((digits[place] | TO_LOWER) - A) < 6
        unknown |= 1 ^ (digit | letter)
        capitals |= letter & (digits[place] < A)
    if unknown or letters[8] != b"-" or letters[13] != b"-" or letters[18] != b"-" or letters[23] != b"-":
        return None
    return text.lower() if capitals else text

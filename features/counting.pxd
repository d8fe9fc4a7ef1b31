from features.reading cimport Reading

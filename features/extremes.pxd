from schemas cimport struct_fields

from features.cells cimport Cells
from features.duplicates cimport DuplicateWindow
from features.state cimport UserState

"""Who trains the cells: processes of this machine, or a cluster's workers."""
